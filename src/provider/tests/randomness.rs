//! The source of randomness.

use crate::provider::crypto_provider;
use crate::provider::random::{fill, with_seed};

#[test]
fn a_seed_is_reproducible_and_ends_with_its_closure() {
    let draw = || {
        let mut bytes = [0; 100];
        fill(&mut bytes).unwrap();
        bytes
    };
    let twice = || (draw(), draw());

    assert_eq!(with_seed(1, twice), with_seed(1, twice));
    assert_ne!(with_seed(1, draw), with_seed(2, draw));
    assert_ne!(draw(), draw());
    assert_ne!(with_seed(1, draw), draw());
    let (first, second) = with_seed(1, twice);
    assert_ne!(first, second);
    // One seed within another does not disturb it.
    let outer = with_seed(1, || {
        let first = draw();
        with_seed(2, draw);
        (first, draw())
    });
    assert_eq!(outer, (first, second));
}

#[test]
fn the_provider_draws_from_it() {
    let draw = || {
        let mut bytes = [0; 32];
        crypto_provider().secure_random.fill(&mut bytes).unwrap();
        bytes
    };
    assert_eq!(with_seed(7, draw), with_seed(7, draw));
    for group in crypto_provider().kx_groups {
        let share = || group.start().unwrap().pub_key().to_vec();
        assert_eq!(with_seed(7, share), with_seed(7, share), "{group:?}");
        assert_ne!(with_seed(7, share), with_seed(8, share), "{group:?}");
        assert_ne!(share(), share(), "{group:?}");
    }
}
