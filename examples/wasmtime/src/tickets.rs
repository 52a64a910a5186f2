//! The keys that seal the tickets of an acceptor, the same in all its instances.
//!
//! A ticket is good for the life of a session, and the guest takes tickets of the keys that it has and of those that it had before. So
//! keys last at least as long as a session: then a ticket is over before its keys are the last but one. An instance that has missed a
//! change, or that is new, is given the keys before as well.

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::error::Error;

/// The keys that seal tickets now, and those before.
pub(crate) struct TicketKeys {
    life: Duration,
    since: Instant,
    /// How often they changed.
    generation: u64,
    current: Keys,
    previous: Option<Keys>,
}

/// What an instance lacks.
pub(crate) struct MissingKeys {
    /// The generation that it has then.
    pub(crate) generation: u64,
    /// To be set one after the other, the current ones last.
    pub(crate) keys: Vec<Keys>,
}

/// See `server.set-ticket-keys`.
pub(crate) type Keys = Zeroizing<[u8; KEYS_LEN]>;

impl TicketKeys {
    /// Makes keys that last as long as a session, or six hours if that is longer.
    ///
    /// # Errors
    ///
    /// [`Error::Component`]: the system has no randomness.
    pub(crate) fn new(session: Duration, now: Instant) -> Result<TicketKeys, Error> {
        Ok(TicketKeys { life: session.max(LIFE_MIN), since: now, generation: 0, current: random()?, previous: None })
    }

    /// Returns what an instance with the keys of this generation lacks now; none if it has all. Where the system has no randomness, keys
    /// that are due go on.
    pub(crate) fn missing(&mut self, has: Option<u64>, now: Instant) -> Option<MissingKeys> {
        if now.saturating_duration_since(self.since) >= self.life
            && let Ok(new) = random()
        {
            self.previous = Some(std::mem::replace(&mut self.current, new));
            self.generation += 1;
            self.since = now;
        }
        let missed = match has {
            Some(has) => self.generation - has,
            None => u64::MAX,
        };
        let previous = self.previous.clone().filter(|_| missed > 1);
        (missed > 0).then(|| MissingKeys {
            generation: self.generation,
            keys: previous.into_iter().chain([self.current.clone()]).collect(),
        })
    }
}

fn random() -> Result<Keys, Error> {
    let mut keys = Zeroizing::new([0; KEYS_LEN]);
    getrandom::fill(&mut keys[..])
        .map_err(|error| Error::Component(format!("no random bytes for the keys of tickets: {error}")))?;
    Ok(keys)
}

/// 16 bytes for their name and 32 that are secret.
const KEYS_LEN: usize = 48;

/// How long keys seal tickets at least.
const LIFE_MIN: Duration = Duration::from_secs(6 * HOUR);

const HOUR: u64 = 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    /// What an instance does with keys: it takes tickets of its last two.
    #[derive(Default)]
    struct Instance {
        has: Option<u64>,
        keys: Vec<Keys>,
    }

    impl Instance {
        /// The keys that it seals a ticket by.
        fn seal(&mut self, keys: &mut TicketKeys, now: Instant) -> Keys {
            if let Some(missing) = keys.missing(self.has, now) {
                self.has = Some(missing.generation);
                self.keys.extend(missing.keys);
            }
            self.keys.last().expect("an instance has keys").clone()
        }

        fn takes(&mut self, keys: &mut TicketKeys, now: Instant, ticket: &Keys) -> bool {
            self.seal(keys, now);
            self.keys.iter().rev().take(2).any(|known| known == ticket)
        }
    }

    #[test]
    fn a_ticket_is_taken_for_the_whole_life_of_a_session_by_every_instance() {
        let start = Instant::now();
        for session in [300, HOUR, 6 * HOUR, 6 * HOUR + 1, 24 * HOUR, 168 * HOUR] {
            let mut keys = TicketKeys::new(Duration::from_secs(session), start).expect("randomness");
            let mut instances = [Instance::default(), Instance::default(), Instance::default()];
            // A ticket each hour of two weeks, from one of them after the other; the third one is idle most of the time.
            let mut tickets = Vec::new();
            for hour in 0..336 {
                let now = start + Duration::from_secs(hour * HOUR);
                tickets.push((now, instances[hour as usize % 2].seal(&mut keys, now)));
                tickets.retain(|(sealed, _)| now - *sealed <= Duration::from_secs(session));
                let new = (hour % 50 == 0).then(Instance::default);
                let idle = if hour % 97 == 0 { 3 } else { 2 };
                for instance in instances.iter_mut().take(idle).chain(new.into_iter().collect::<Vec<_>>().iter_mut()) {
                    for (sealed, ticket) in &tickets {
                        assert!(instance.takes(&mut keys, now, ticket), "{session} s, {:?} old", now - *sealed);
                    }
                }
            }
        }
    }

    #[test]
    fn keys_change_after_six_hours_or_after_the_life_of_a_session() {
        let start = Instant::now();
        for (session, life) in [(300, 6 * HOUR), (6 * HOUR, 6 * HOUR), (168 * HOUR, 168 * HOUR)] {
            let mut keys = TicketKeys::new(Duration::from_secs(session), start).expect("randomness");
            let mut at = |second: u64, has| {
                let missing = keys.missing(has, start + Duration::from_secs(second));
                missing.map(|missing| (missing.generation, missing.keys.len()))
            };
            assert_eq!(at(0, None), Some((0, 1)), "a new instance has none");
            assert_eq!(at(life - 1, Some(0)), None, "{session} s: they changed too soon");
            assert_eq!(at(life, Some(0)), Some((1, 1)), "{session} s: they did not change");
            assert_eq!(at(life, None), Some((1, 2)), "one that is new then has those before as well");
            assert_eq!(at(2 * life, Some(0)), Some((2, 2)), "and one that missed a change");
            assert_eq!(at(2 * life, Some(2)), None);
        }
    }
}
