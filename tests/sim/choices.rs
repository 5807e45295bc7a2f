//! [`Choices`]: where what happens next comes from.

/// An endless row of numbers.
#[derive(Clone, Debug)]
pub enum Choices {
    /// The same ones for the same seed.
    Seeded(u64),
    /// What somebody has put together; zeros once that is used up.
    Given(Vec<u8>, usize),
}

impl Choices {
    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: usize) -> usize {
        match self {
            // SplitMix64.
            Self::Seeded(state) => {
                *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                let number = (mixed ^ (mixed >> 31)) >> 32;
                usize::try_from(number).unwrap() % bound
            }
            Self::Given(bytes, at) => {
                let byte = bytes.get(*at).copied().unwrap_or(0);
                *at += 1;
                usize::from(byte) % bound
            }
        }
    }

    /// Happens once in `bound` times.
    pub fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == bound - 1
    }

    /// Whether everything that comes is a zero.
    pub fn is_used_up(&self) -> bool {
        matches!(self, Self::Given(bytes, at) if *at >= bytes.len())
    }
}
