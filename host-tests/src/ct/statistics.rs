//! Welch's t-test of the times of two classes, at several cuts.
//!
//! The slowest times are those in which something else happened: an interrupt, another process, a cache that was cold. They say nothing
//! of the operation, and hide small differences in their noise. So the test is made several times, of all measurements and of the
//! fastest so many, and the largest |t| counts. A cut is a *time*, the same for both classes and found without a look at the class: so
//! cutting makes no difference where there is none, and a difference in the tail alone is still seen by the test without a cut.

/// The class of the input of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Class 1.
    First,
    /// Class 2.
    Second,
}

/// The time of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// The class of the input.
    pub class: Class,
    /// The time.
    pub nanoseconds: u64,
}

/// What a test says. Both numbers are positive where the first class takes longer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Difference {
    /// Welch's t.
    pub t: f64,
    /// The difference of the means.
    pub nanoseconds: f64,
}

/// The test whose t is farthest from zero, of those at all cuts. Orders the measurements by their times.
pub fn largest_difference(measurements: &mut [Measurement]) -> Difference {
    measurements.sort_unstable_by_key(|measurement| measurement.nanoseconds);
    let [mut first, mut second] = [Moments::default(); 2];
    let mut largest = Difference::default();
    let mut counted = 0;
    for kept in KEPT {
        let Some(last) = ((measurements.len() as f64 * kept) as usize).checked_sub(1) else { continue };
        let cut = measurements[last].nanoseconds;
        // All that took as long as the cut, whatever their order.
        let end = measurements.partition_point(|measurement| measurement.nanoseconds <= cut);
        for measurement in &measurements[counted..end] {
            match measurement.class {
                Class::First => first.add(measurement.nanoseconds as f64),
                Class::Second => second.add(measurement.nanoseconds as f64),
            }
        }
        counted = end;
        let t = welch_t(&first, &second);
        if t.abs() > largest.t.abs() {
            largest = Difference { t, nanoseconds: first.mean - second.mean };
        }
    }
    largest
}

/// Welch's t of two samples (B. L. Welch, "The generalization of 'Student's' problem when several different population variances are
/// involved", 1947): the difference of the means in its own standard deviations. Zero where a sample is too small to say anything.
fn welch_t(first: &Moments, second: &Moments) -> f64 {
    if first.count < FEWEST || second.count < FEWEST {
        return 0.0;
    }
    let difference = first.mean - second.mean;
    let variance = first.variance() / first.count as f64 + second.variance() / second.count as f64;
    // Times that are all the same tell nothing apart, or everything.
    match (difference == 0.0, variance == 0.0) {
        (true, _) => 0.0,
        (false, true) => f64::INFINITY.copysign(difference),
        (false, false) => difference / variance.sqrt(),
    }
}

/// The mean of a sample and its sum of squares, measurement by measurement (B. P. Welford, 1962).
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: u64,
    mean: f64,
    /// The sum of the squares of the distances from the mean.
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    fn variance(&self) -> f64 {
        self.squares / (self.count - 1) as f64
    }
}

/// How much of the measurements, from the fastest on, the tests look at; the last one looks at all.
const KEPT: [f64; 12] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0];

/// Of how many measurements a class must have a test to count: of few, the mean is not yet distributed normally.
const FEWEST: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f64]) -> Moments {
        values.iter().fold(Moments::default(), |mut moments, value| {
            moments.add(*value);
            moments
        })
    }

    /// A class with these times, each as often as is said.
    fn times(class: Class, times: &[(u64, usize)]) -> Vec<Measurement> {
        let some = |&(nanoseconds, count): &(u64, usize)| vec![Measurement { class, nanoseconds }; count];
        times.iter().flat_map(some).collect()
    }

    fn t(first: &[(u64, usize)], second: &[(u64, usize)]) -> f64 {
        largest_difference(&mut [times(Class::First, first), times(Class::Second, second)].concat()).t
    }

    #[test]
    fn moments_of_known_samples() {
        let sample = moments(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!((sample.count, sample.mean, sample.squares), (8, 5.0, 32.0));
        // Far from zero, where sums of squares would lose all digits.
        let far = moments(&[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0]);
        assert!((far.variance() - 30.0).abs() < 1e-6, "{far:?}");
    }

    /// Times of 1 and 3, as often: the mean is 2, the variance 1 (with the divisor n - 1: n / (n - 1)). One more for the other class:
    /// t = -1 / sqrt(2 / (n - 1)).
    #[test]
    fn t_of_known_samples() {
        let n = 1000;
        let expected = -1.0 / (2.0 / (n as f64 - 1.0)).sqrt();
        let (first, second) =
            (times(Class::First, &[(1, n / 2), (3, n / 2)]), times(Class::Second, &[(2, n / 2), (4, n / 2)]));
        let sample =
            |times: &[Measurement]| moments(&times.iter().map(|time| time.nanoseconds as f64).collect::<Vec<_>>());
        assert!((welch_t(&sample(&first), &sample(&second)) - expected).abs() < 1e-9);
        assert!((welch_t(&sample(&second), &sample(&first)) + expected).abs() < 1e-9);
        // Of different sizes and variances: 0 and 20, mean 10, variance 100 * 400 / 399; and 9, mean 9, variance 0.
        let (first, second) = (times(Class::First, &[(0, 200), (20, 200)]), times(Class::Second, &[(9, 150)]));
        let expected = 1.0 / (100.0 / 399.0_f64).sqrt();
        assert!((welch_t(&sample(&first), &sample(&second)) - expected).abs() < 1e-9);
    }

    #[test]
    fn the_same_times_are_no_difference() {
        assert_eq!(t(&[(5, 1000)], &[(5, 900)]), 0.0);
        assert_eq!(t(&[(5, 1000), (6, 1000), (90, 10)], &[(5, 1000), (6, 1000), (90, 10)]), 0.0);
        assert_eq!(t(&[], &[]), 0.0);
        assert_eq!(t(&[(5, 10)], &[(7, 10)]), 0.0, "too few");
    }

    #[test]
    fn times_that_never_vary_are_a_difference() {
        assert_eq!(t(&[(5, 1000)], &[(6, 1000)]), f64::NEG_INFINITY);
    }

    /// One nanosecond in a hundred, below a tail that would drown it.
    #[test]
    fn a_cut_shows_what_the_tail_hides() {
        let tail = |at: u64| (0..100).map(move |i| (10_000 + 1_000_000 * ((i * 37 + at) % 100), 1));
        let class = |fast: u64| [(fast, 5000), (fast + 2, 4900)].into_iter().chain(tail(fast)).collect::<Vec<_>>();
        let (first, second) = (class(101), class(100));
        let all =
            |times: &[(u64, usize)]| moments(&times.iter().flat_map(|&(t, n)| vec![t as f64; n]).collect::<Vec<_>>());
        assert!(welch_t(&all(&first), &all(&second)).abs() < 1.0);
        assert!(t(&first, &second) > 50.0, "{}", t(&first, &second));
    }

    /// Both classes have the same share of each time; where a cut falls within a time, all of it or nothing must count.
    #[test]
    fn a_cut_within_equal_times_takes_them_all() {
        for many in [1000, 1001, 1500, 3000] {
            assert_eq!(t(&[(5, many), (7, many)], &[(5, many), (7, many)]), 0.0);
        }
    }

    /// A difference in the tail alone: one branch in fifty that only one class takes.
    #[test]
    fn a_tail_of_one_class_is_a_difference() {
        assert!(t(&[(100, 5000), (102, 4800), (300, 200)], &[(100, 5000), (102, 5000)]) > 10.0);
    }
}
