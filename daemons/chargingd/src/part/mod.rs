//! Several groups of instances share the subscribers of one database: each account is of one part, and each part has
//! books, an active instance and standby instances of its own.

mod overview;

use std::fmt;

use sha2::{Digest, Sha256};

pub(crate) use overview::{Overview, Sought, Whereabouts};

/// The most parts that a database is divided into.
pub const MOST_PARTS: u32 = 64;

/// How the subscribers of a database are divided, and which part of them this instance is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Division {
    part: u32,
    parts: u32,
}

impl Default for Division {
    fn default() -> Self {
        Self { part: 1, parts: 1 }
    }
}

impl fmt::Display for Division {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "part {} of {}", self.part, self.parts)
    }
}

impl Division {
    /// Part `part`, counted from 1, of `parts`.
    ///
    /// # Errors
    /// The key of `[store]` that is wrong, and what it may be.
    pub fn new(part: u32, parts: u32) -> Result<Self, (&'static str, String)> {
        if !(1..=MOST_PARTS).contains(&parts) {
            return Err(("parts", format!("1 to {MOST_PARTS}")));
        }
        if !(1..=parts).contains(&part) {
            return Err(("part", format!("1 to store.parts, which is {parts}")));
        }
        Ok(Self { part, parts })
    }

    /// The part that this instance is for.
    pub fn part(self) -> u32 {
        self.part
    }

    /// How many there are.
    pub fn parts(self) -> u32 {
        self.parts
    }

    /// Whether there are others.
    pub fn is_divided(self) -> bool {
        self.parts > 1
    }

    /// The part of an account: the first eight octets of its name's SHA-256, as a number, modulo the number of parts,
    /// and 1. It never changes: accounts stand in the part that it says.
    pub fn of(self, account: &str) -> u32 {
        let digest = Sha256::digest(account.as_bytes());
        let first = digest.iter().take(8);
        let number = first.fold(0u64, |number, octet| (number << 8) | u64::from(*octet));
        u32::try_from(number % u64::from(self.parts)).unwrap_or(0) + 1
    }

    /// Whether this instance's part has the account.
    pub fn has(self, account: &str) -> bool {
        self.of(account) == self.part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_stays_where_it_is() {
        // From another implementation of SHA-256: printf alice | sha256sum | cut -c-16, and so on.
        for (account, of_two, of_four, of_sixty_four) in [
            ("alice", 2, 4, 48),
            ("bob", 1, 3, 27),
            ("customer-1", 2, 4, 8),
        ] {
            for (parts, part) in [(1, 1), (2, of_two), (4, of_four), (64, of_sixty_four)] {
                let division = Division::new(1, parts).unwrap();
                assert_eq!(division.of(account), part, "{account} of {parts}");
            }
        }
    }

    #[test]
    fn parts_are_alike_in_size_and_cover_all() {
        for parts in [2, 3, 7, 64] {
            let division = Division::new(1, parts).unwrap();
            let mut counts = vec![0u32; parts as usize + 1];
            for number in 0..parts * 1000 {
                counts[division.of(&format!("+4917{number:08}")) as usize] += 1;
            }
            assert_eq!(counts[0], 0);
            for count in &counts[1..] {
                assert!((850..=1150).contains(count), "{parts}: {counts:?}");
            }
        }
    }

    #[test]
    fn every_account_is_of_exactly_one_part() {
        let all: Vec<Division> = (1..=5).map(|it| Division::new(it, 5).unwrap()).collect();
        for number in 0..1000 {
            let name = format!("customer-{number}");
            assert_eq!(all.iter().filter(|it| it.has(&name)).count(), 1, "{name}");
        }
    }

    #[test]
    fn a_part_that_cannot_be_is_named_by_its_key() {
        for (part, parts, key) in [
            (0, 2, "part"),
            (3, 2, "part"),
            (1, 0, "parts"),
            (1, 65, "parts"),
        ] {
            assert_eq!(Division::new(part, parts).unwrap_err().0, key);
        }
    }
}
