//! The language of OpenSSL's cipher lists, as `openssl ciphers` documents it, over the suites that we have (row O6).
//!
//! As Node does, a list is taken apart: names of TLS 1.3 suites are the suites of TLS 1.3, and the rest is read by the rules for
//! TLS 1.2. There are three differences. Where a rule leaves the order open, ours is kept: ChaCha20-Poly1305 before AES. Full names
//! may be in lower case, since [`ciphers`](super::names::ciphers) gives them so. And a suite of TLS 1.3 with `!` or `-` before it is left out, where
//! OpenSSL knows no such thing.

use rustls::{CipherSuite, NamedGroup, SignatureScheme};

use super::names::{is_supported, suite_by_name};
use crate::error::{Error, ErrorCode};

/// What a list selects, in its order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CipherList {
    /// The suites of TLS 1.3: those that it names, or the default where it names none.
    pub(super) tls13: Vec<CipherSuite>,
    /// The suites of TLS 1.2. None where it only names suites of TLS 1.3.
    pub(super) tls12: Vec<CipherSuite>,
    /// What one of the `SUITEB` words demands besides.
    pub(super) suite_b: Option<&'static SuiteB>,
}

/// A profile of Suite B (RFC 6460), which also settles groups and signature schemes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SuiteB {
    word: &'static str,
    list: &'static str,
    /// The only groups.
    pub(super) groups: &'static [NamedGroup],
    /// The only signature schemes.
    pub(super) schemes: &'static [SignatureScheme],
}

/// Reads a list. Suites that we don't have and words that nobody has are passed over, as OpenSSL does.
///
/// # Errors
/// `no cipher match` where it selects nothing, `invalid command` where it has what the language has not.
pub(super) fn parse(list: &str) -> Result<CipherList, Vec<Error>> {
    parse_by_order(list, &TLS12.into_iter().filter(is_supported).collect::<Vec<_>>())
}

/// [`parse`] with the order that holds where the list leaves it open.
fn parse_by_order(list: &str, order: &[CipherSuite]) -> Result<CipherList, Vec<Error>> {
    let (tls13_items, tls12_items): (Vec<_>, Vec<_>) =
        list.split(SEPARATORS).filter(|item| !item.is_empty()).partition(|item| is_tls13(item));
    let no_match =
        |why: &str| vec![Error::new(ErrorCode::ErrSslNoCipherMatch, format!("The cipher list {list:?} {why}."))];
    if tls13_items.is_empty() && tls12_items.is_empty() {
        return Err(no_match("is empty; leave it out for the default"));
    }
    let (tls12, suite_b) = by_rules(&tls12_items, order, list)?;
    if !tls12_items.is_empty() && tls12.is_empty() {
        return Err(no_match("selects no cipher suite that is supported; `ciphers` gives those that are"));
    }
    let tls13 = by_names(&tls13_items);
    if tls13.is_empty() {
        return Err(no_match(
            "leaves no cipher suite of TLS 1.3; where it is to have none, set the highest version to 1.2",
        ));
    }
    Ok(CipherList { tls13, tls12, suite_b })
}

/// Whether an item is for TLS 1.3: it starts like the name of a suite, and is none of TLS 1.2.
fn is_tls13(item: &str) -> bool {
    let name = item.trim_start_matches(['!', '-', '+']);
    let starts = name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("TLS_"));
    starts && suite_by_name(name).is_none_or(|suite| TLS13.contains(&suite))
}

fn by_names(items: &[&str]) -> Vec<CipherSuite> {
    let of = |item: &&str| suite_by_name(item.trim_start_matches(['!', '-', '+']));
    let (excluded, named): (Vec<_>, Vec<_>) = items.iter().partition(|item| item.starts_with(['!', '-']));
    let excluded: Vec<_> = excluded.into_iter().filter_map(of).collect();
    let mut suites: Vec<_> = match named.is_empty() {
        true => TLS13.into_iter().filter(is_supported).collect(),
        false => named.into_iter().filter_map(of).collect(),
    };
    suites.retain(|suite| !excluded.contains(suite));
    without_repetition(suites)
}

/// What the rules select, and the profile of Suite B where there is one.
fn by_rules(
    items: &[&str],
    order: &[CipherSuite],
    list: &str,
) -> Result<(Vec<CipherSuite>, Option<&'static SuiteB>), Vec<Error>> {
    let mut selection = Selection(order.iter().map(|suite| (*suite, false)).collect());
    let (mut items, mut errors) = (items.to_vec(), Vec::new());
    // Two words only count at the very start.
    let mut suite_b = None;
    if let Some(first) = items.first_mut() {
        suite_b = SUITE_B.iter().find(|profile| first.starts_with(profile.word));
        if let Some(rest) = first.strip_prefix(DEFAULT) {
            selection.add(EVERY);
            *first = rest;
        }
    }
    match suite_b {
        // Nothing else counts then.
        Some(profile) => profile.list.split(':').for_each(|name| selection.add(word(name).unwrap_or(NONE))),
        None => {
            for item in items {
                if let Err((code, why)) = selection.apply(item) {
                    errors.push(Error::new(code, format!("The cipher list {list:?} has {item:?}: {why}.")));
                }
            }
        }
    }
    match errors.is_empty() {
        true => Ok((selection.0.into_iter().filter(|(_, active)| *active).map(|(suite, _)| suite).collect(), suite_b)),
        false => Err(errors),
    }
}

/// The suites in their present order, each with whether it is selected.
struct Selection(Vec<(CipherSuite, bool)>);

impl Selection {
    /// Applies one item. It may hold several rules: where a word is known, the next may follow it without a separator.
    fn apply(&mut self, item: &str) -> Result<(), (ErrorCode, &'static str)> {
        let mut rest = item;
        while let Some(first) = rest.chars().next() {
            if "!-+@".contains(first) {
                rest = &rest[1..];
            }
            if first == '@' {
                return self.command(take_word(&mut rest));
            }
            let mut matching = Some(EVERY);
            loop {
                let name = take_word(&mut rest);
                if name.is_empty() {
                    return Err((ErrorCode::ErrSslInvalidCommand, "expected a name or a word"));
                }
                // A word that is not known makes OpenSSL pass over the rest of the item.
                matching = word(name).and_then(|mask| matching.map(|matching| matching & mask));
                match rest.strip_prefix('+') {
                    Some(next) if matching.is_some() => rest = next,
                    _ => break,
                }
            }
            let Some(mask) = matching else { return Ok(()) };
            match first {
                '!' => self.0.retain(|(suite, _)| !selects(mask, *suite)),
                '-' => self.remove(mask),
                '+' => self.move_back(mask),
                _ => self.add(mask),
            }
        }
        Ok(())
    }

    fn command(&mut self, name: &str) -> Result<(), (ErrorCode, &'static str)> {
        match name {
            "STRENGTH" => {
                self.move_back(AES256 | CHACHA20);
                self.move_back(AES128);
                Ok(())
            }
            // All suites and keys that we have are good for these: 112 bits.
            "SECLEVEL=0" | "SECLEVEL=1" | "SECLEVEL=2" => Ok(()),
            "SECLEVEL=3" | "SECLEVEL=4" | "SECLEVEL=5" => Err((
                ErrorCode::ErrInvalidArgValue,
                "security levels above 2 are not supported, since they demand longer keys than 2048 bit RSA of every certificate of a chain; choose suites, groups and sigalgs instead",
            )),
            _ => Err((ErrorCode::ErrSslInvalidCommand, "the commands are @STRENGTH and @SECLEVEL=0 to @SECLEVEL=2")),
        }
    }

    /// Selects what is not selected yet, behind all others.
    fn add(&mut self, mask: Mask) {
        self.partition(|suite, active| !active && selects(mask, suite), true, true);
    }

    /// Takes the selection back. What was selected comes to the front, should it be selected again.
    fn remove(&mut self, mask: Mask) {
        self.partition(|suite, active| active && selects(mask, suite), false, false);
    }

    /// Moves what is selected behind all others.
    fn move_back(&mut self, mask: Mask) {
        self.partition(|suite, active| active && selects(mask, suite), true, true);
    }

    fn partition(&mut self, moves: impl Fn(CipherSuite, bool) -> bool, to_back: bool, active: bool) {
        let (mut moved, mut stay): (Vec<_>, Vec<_>) =
            self.0.drain(..).partition(|(suite, active)| moves(*suite, *active));
        moved.iter_mut().for_each(|entry| entry.1 = active);
        self.0 = match to_back {
            true => {
                stay.append(&mut moved);
                stay
            }
            false => {
                moved.append(&mut stay);
                moved
            }
        };
    }
}

/// Takes the word at the start.
fn take_word<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.=".contains(c))).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after;
    word
}

/// What a word or a name selects, where OpenSSL knows it.
fn word(name: &str) -> Option<Mask> {
    let of_word = WORDS.iter().find(|(words, _)| words.contains(&name)).map(|(_, mask)| *mask);
    of_word.or_else(|| {
        let suite = suite_by_name(name)?;
        TLS12.iter().position(|have| *have == suite).map(|at| (1 << at) | ANY_STRENGTH)
    })
}

fn selects(mask: Mask, suite: CipherSuite) -> bool {
    mask & ANY_STRENGTH != 0 && TLS12.iter().position(|have| *have == suite).is_some_and(|at| mask & (1 << at) != 0)
}

fn without_repetition(suites: Vec<CipherSuite>) -> Vec<CipherSuite> {
    let mut once = Vec::with_capacity(suites.len());
    for suite in suites {
        if !once.contains(&suite) {
            once.push(suite);
        }
    }
    once
}

/// A bit for each of [`TLS12`], and two for the classes of strength.
///
/// Every suite of ours is in the class HIGH, and those with AES in FIPS too. To OpenSSL the two exclude each other: `HIGH+FIPS`
/// selects nothing.
type Mask = u8;

const CHACHA20: Mask = 0b00_0011 | ANY_STRENGTH;
const AES256: Mask = 0b00_1100 | ANY_STRENGTH;
const AES128: Mask = 0b11_0000 | ANY_STRENGTH;
const AES: Mask = AES256 | AES128;
const ECDSA: Mask = 0b01_0101 | ANY_STRENGTH;
const RSA: Mask = 0b10_1010 | ANY_STRENGTH;
const EVERY: Mask = 0b11_1111 | ANY_STRENGTH;
const NONE: Mask = 0;
const ANY_STRENGTH: Mask = HIGH | FIPS;
const HIGH: Mask = 1 << 6;
const FIPS: Mask = 1 << 7;

/// The words for groups of suites, and what they select.
const WORDS: &[(&[&str], Mask)] = &[
    (&["ALL", "kEECDH", "kECDHE", "ECDH", "EECDH", "ECDHE", "TLSv1.2"], EVERY),
    (&["HIGH"], EVERY & !FIPS),
    (&["FIPS"], AES & !HIGH),
    (&["aRSA"], RSA),
    (&["aECDSA", "ECDSA"], ECDSA),
    (&["AES", "AESGCM"], AES),
    (&["AES128"], AES128),
    (&["AES256"], AES256),
    (&["CHACHA20"], CHACHA20),
    // What follows is known, and we have none of it.
    (&["COMPLEMENTOFALL", "COMPLEMENTOFDEFAULT", "MEDIUM", "LOW", "SSLv3", "TLSv1", "TLSv1.0"], NONE),
    (
        &["kRSA", "RSA", "kEDH", "kDHE", "EDH", "DHE", "DH", "ADH", "AECDH", "aNULL", "eNULL", "NULL", "aDSS", "DSS"],
        NONE,
    ),
    (&["kPSK", "kRSAPSK", "kECDHEPSK", "kDHEPSK", "aPSK", "PSK", "kSRP", "aSRP", "SRP"], NONE),
    (&["kGOST", "kGOST18", "aGOST", "aGOST01", "aGOST12", "GOST89", "GOST94", "GOST89MAC", "GOST12"], NONE),
    (
        &["3DES", "RC4", "RC2", "IDEA", "SEED", "CBC", "AESCCM", "AESCCM8", "ARIA", "ARIAGCM", "ARIA128", "ARIA256"],
        NONE,
    ),
    (&["CAMELLIA", "CAMELLIA128", "CAMELLIA256", "MD5", "SHA1", "SHA", "SHA256", "SHA384"], NONE),
];

const SUITE_B: &[SuiteB] = &[
    SuiteB {
        word: "SUITEB128ONLY",
        list: "ECDHE-ECDSA-AES128-GCM-SHA256",
        groups: &[NamedGroup::secp256r1],
        schemes: &[SignatureScheme::ECDSA_NISTP256_SHA256],
    },
    SuiteB {
        word: "SUITEB128C2",
        list: "ECDHE-ECDSA-AES256-GCM-SHA384",
        groups: &[NamedGroup::secp256r1, NamedGroup::secp384r1],
        schemes: &[SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ECDSA_NISTP384_SHA384],
    },
    SuiteB {
        word: "SUITEB128",
        list: "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384",
        groups: &[NamedGroup::secp256r1, NamedGroup::secp384r1],
        schemes: &[SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ECDSA_NISTP384_SHA384],
    },
    SuiteB {
        word: "SUITEB192",
        list: "ECDHE-ECDSA-AES256-GCM-SHA384",
        groups: &[NamedGroup::secp384r1],
        schemes: &[SignatureScheme::ECDSA_NISTP384_SHA384],
    },
];

/// OpenSSL's default list: `ALL:!COMPLEMENTOFDEFAULT:!eNULL`, which is all that we have.
const DEFAULT: &str = "DEFAULT";
const SEPARATORS: [char; 4] = [':', ',', ' ', ';'];

/// The suites of TLS 1.3 in our order.
const TLS13: [CipherSuite; 3] = [
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_AES_128_GCM_SHA256,
];

/// The suites of TLS 1.2 in our order, which is also that of the bits of [`Mask`].
const TLS12: [CipherSuite; 6] = [
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::names;
    use super::*;

    /// Lists, and what OpenSSL made of them.
    const LISTS: &str = include_str!("tests/cipher-lists.txt");

    #[test]
    fn lists_select_what_openssl_selects() {
        // OpenSSL's order where the list leaves it open: AES-256 first.
        let order = [TLS12[2], TLS12[3], TLS12[0], TLS12[1], TLS12[4], TLS12[5]];
        let rows: Vec<_> = LISTS.lines().filter_map(|row| row.split_once(" => ")).collect();
        assert!(rows.len() >= 90);
        for (list, expected) in rows {
            let found = match parse_by_order(list, &order) {
                Ok(CipherList { tls12, .. }) => tls12.into_iter().map(short).collect::<Vec<_>>().join(" "),
                Err(errors) if errors[0].code == ErrorCode::ErrSslInvalidCommand => "invalid command".into(),
                Err(errors) if errors[0].code == ErrorCode::ErrSslNoCipherMatch => "nothing".into(),
                Err(errors) => panic!("{list}: {errors:?}"),
            };
            assert_eq!(found, expected, "{list}");
        }
    }

    #[test]
    fn names_of_tls13_are_taken_out_as_node_does() {
        const CHACHA: &str = "TLS_CHACHA20_POLY1305_SHA256";
        const AES128: &str = "TLS_AES_128_GCM_SHA256";
        type Row = (&'static str, Result<(&'static [&'static str], usize), ErrorCode>);
        #[rustfmt::skip]
        let rows: [Row; 16] = [
            ("TLS_AES_128_GCM_SHA256", Ok((&[AES128], 0))),
            ("TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256", Ok((&[AES128, CHACHA], 0))),
            ("TLS_AES_128_GCM_SHA256:TLS_AES_128_GCM_SHA256", Ok((&[AES128], 0))),
            ("tls_aes_128_gcm_sha256:ecdhe-rsa-aes128-gcm-sha256", Ok((&[AES128], 1))),
            ("AESGCM:TLS_AES_128_GCM_SHA256", Ok((&[AES128], 4))),
            ("TLS_AES_128_GCM_SHA256:TLS_AES_128_CCM_SHA256", Ok((&[AES128], 0))),
            ("DEFAULT", Ok((&[CHACHA, "TLS_AES_256_GCM_SHA384", AES128], 6))),
            ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Ok((&[CHACHA, "TLS_AES_256_GCM_SHA384", AES128], 1))),
            ("ALL:!TLS_AES_256_GCM_SHA384", Ok((&[CHACHA, AES128], 6))),
            ("-TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384", Ok((&[CHACHA], 0))),
            ("TLS_AES_128_CCM_SHA256", Err(ErrorCode::ErrSslNoCipherMatch)),
            ("TLS_NULL:AESGCM", Err(ErrorCode::ErrSslNoCipherMatch)),
            ("TLS_AES_128_GCM_SHA256:NULL", Err(ErrorCode::ErrSslNoCipherMatch)),
            ("", Err(ErrorCode::ErrSslNoCipherMatch)),
            (" :, ;", Err(ErrorCode::ErrSslNoCipherMatch)),
            ("ALL:@SECLEVEL=3", Err(ErrorCode::ErrInvalidArgValue)),
        ];
        for (list, expected) in rows {
            let found = parse(list).map_err(|errors| errors[0].code);
            let found = found.map(|list| (list.tls13.into_iter().map(iana).collect::<Vec<_>>(), list.tls12.len()));
            assert_eq!(found, expected.map(|(tls13, tls12)| (tls13.to_vec(), tls12)), "{list}");
        }
    }

    #[test]
    fn our_order_has_chacha20_first_where_the_list_leaves_it_open() {
        for (list, first) in
            [("DEFAULT", "E-CHACHA"), ("aRSA", "R-CHACHA"), ("AES:ALL", "E-256"), ("ALL:+CHACHA20", "E-256")]
        {
            let found = parse(list).expect(list);
            assert_eq!(found.tls12.first().map(|suite| short(*suite)).as_deref(), Some(first), "{list}");
        }
    }

    #[test]
    fn the_default_as_a_list_is_the_default() {
        let list = parse(&names::default_ciphers()).expect("it is a list");
        assert_eq!((list.tls13, list.tls12), (TLS13.to_vec(), TLS12.to_vec()));
    }

    #[test]
    fn every_command_that_is_wrong_is_told() {
        let errors = parse("ALL:@NOTHING:?:@SECLEVEL=4").expect_err("three of four are wrong");
        let codes: Vec<_> = errors.iter().map(|error| error.code).collect();
        use ErrorCode::{ErrInvalidArgValue, ErrSslInvalidCommand};
        assert_eq!(codes, [ErrSslInvalidCommand, ErrSslInvalidCommand, ErrInvalidArgValue]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_list_gives_each_suite_at_most_once_or_errors(
            list in prop_oneof![".{0,60}", "([-+!@]?(ALL|AES|aRSA|AES128|ECDHE|HIGH|TLS_AES_128_GCM_SHA256|STRENGTH|DEFAULT|[+:é]))[+:, ]{0,9}"],
        ) {
            match parse(&list) {
                Ok(CipherList { tls13, tls12, .. }) => {
                    prop_assert_eq!(without_repetition(tls12.clone()), tls12);
                    prop_assert_eq!(without_repetition(tls13.clone()), tls13);
                }
                Err(errors) => prop_assert!(!errors.is_empty()),
            }
        }
    }

    fn short(suite: CipherSuite) -> String {
        let name = names::suite_names(suite).map(|names| names.openssl).unwrap_or_default();
        let key = if name.contains("ECDSA") { "E" } else { "R" };
        let cipher = ["CHACHA", "256", "128"].into_iter().find(|cipher| name.replace("-SHA256", "").contains(cipher));
        format!("{key}-{}", cipher.unwrap_or_default())
    }

    fn iana(suite: CipherSuite) -> &'static str {
        names::suite_names(suite).map(|names| names.iana).unwrap_or_default()
    }
}
