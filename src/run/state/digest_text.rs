//! How digests are written: sorted, as the gaps between them, in a Golomb-Rice code, in base64.
//!
//! Of 100 random numbers of 24 bits, in no order, nothing shorter than 1,875 bits can tell; this takes some 1,885, where
//! the numbers one after the other take 2,400. A gap is its upper bits as so many ones and a zero, and then its lower
//! bits. How many bits are lower ones stands in the first five; the last byte is filled up with ones.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The bits of a digest.
pub(super) const BITS: u32 = 24;
/// What a text begins with, to be told from digests of three bytes each, as earlier versions wrote them.
const MARK: char = '.';
/// The bits that say how many bits of a gap are lower ones.
const HEAD_BITS: u32 = 5;
/// The most digests of one text that are read.
pub(super) const MOST: usize = 10_000;

/// The text of these digests, which are sorted and have [`BITS`] each.
pub(super) fn write(sorted: &[u32]) -> String {
    let lower = lower_bits(sorted.len());
    let mut bits = Bits::default();
    bits.push(lower, HEAD_BITS);
    let mut last = 0;
    for &digest in sorted {
        let gap = digest - last;
        last = digest;
        for _ in 0..gap >> lower {
            bits.push(1, 1);
        }
        bits.push(0, 1);
        bits.push(gap, lower);
    }
    format!("{MARK}{}", URL_SAFE_NO_PAD.encode(bits.into_bytes()))
}

/// How long the text of so many digests is, about.
pub(super) fn length(digests: usize) -> usize {
    // the lower bits, the zero, and somewhat less than one 1 each
    let bits = digests * (lower_bits(digests) as usize + 2);
    MARK.len_utf8() + (bits + HEAD_BITS as usize).div_ceil(6)
}

/// The digests of a text, sorted.
///
/// # Errors
/// What such a text has to be.
pub(super) fn read(text: &str) -> Result<Vec<u32>, &'static str> {
    let encoded = text.strip_prefix(MARK);
    let bytes = URL_SAFE_NO_PAD.decode(encoded.unwrap_or(text));
    let bytes = bytes.map_err(|_| "digests are in base64")?;
    let digests = match encoded {
        Some(_) => gaps(&bytes)?,
        None => three_bytes_each(&bytes)?,
    };
    match digests.len() {
        0..=MOST => Ok(digests),
        _ => Err("there are too many digests"),
    }
}

/// What earlier versions wrote: in the order of the names.
fn three_bytes_each(bytes: &[u8]) -> Result<Vec<u32>, &'static str> {
    let (digests, rest) = bytes.as_chunks::<3>();
    if !rest.is_empty() {
        return Err("digests have three bytes each");
    }
    let digests = digests.iter();
    let digests =
        digests.map(|&[first, second, third]| u32::from_be_bytes([0, first, second, third]));
    let mut digests: Vec<u32> = digests.collect();
    digests.sort_unstable();
    Ok(digests)
}

fn gaps(bytes: &[u8]) -> Result<Vec<u32>, &'static str> {
    let mut bits = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let lower = number(&mut bits, HEAD_BITS).filter(|lower| *lower <= BITS);
    let lower = lower.ok_or("digests begin with how many bits are lower ones")?;
    let mut digests = Vec::new();
    let mut last: u32 = 0;
    while let Some(upper) = ones(&mut bits) {
        let lower_bits = number(&mut bits, lower).ok_or("a digest is cut off")?;
        let digest = u64::from(last) + (u64::from(upper) << lower) + u64::from(lower_bits);
        last = u32::try_from(digest)
            .ok()
            .filter(|digest| digest >> BITS == 0)
            .ok_or("a digest has 24 bits")?;
        digests.push(last);
        if digests.len() > MOST {
            break;
        }
    }
    Ok(digests)
}

/// The lower bits of gaps that are as long as those of so many random digests.
fn lower_bits(digests: usize) -> u32 {
    let digests = u32::try_from(digests).unwrap_or(u32::MAX);
    BITS.saturating_sub(u32::BITS - digests.leading_zeros())
}

/// The number of ones before the next zero; `None` if there is none.
fn ones(bits: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let mut ones = 0;
    while bits.next()? == 1 {
        ones += 1;
    }
    Some(ones)
}

/// A number of so many bits; `None` if there are fewer.
fn number(bits: &mut impl Iterator<Item = u8>, length: u32) -> Option<u32> {
    let mut number = 0;
    for _ in 0..length {
        number = number << 1 | u32::from(bits.next()?);
    }
    Some(number)
}

/// Bits that are written one after the other.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// How many bits of the last byte are taken; 0 if all are.
    taken: u32,
}

impl Bits {
    /// Adds the last `length` bits of a number.
    fn push(&mut self, number: u32, length: u32) {
        for bit in (0..length).rev() {
            if self.taken == 0 {
                self.bytes.push(u8::MAX);
            }
            if let Some(byte) = self.bytes.last_mut()
                && number >> bit & 1 == 0
            {
                *byte &= !(0x80 >> self.taken);
            }
            self.taken = (self.taken + 1) % u8::BITS;
        }
    }

    fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn digests_are_read_as_they_were_written(mut digests in vec(0_u32..1 << BITS, 0..300)) {
            digests.sort_unstable();
            prop_assert_eq!(read(&write(&digests)).unwrap(), digests);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\.?[A-Za-z0-9_-]{0,40}") {
            if let Ok(digests) = read(&text) {
                prop_assert!(digests.is_sorted());
                prop_assert!(digests.iter().all(|digest| digest >> BITS == 0));
                prop_assert_eq!(read(&write(&digests)).unwrap(), digests);
            }
        }
    }

    #[test]
    fn a_hundred_take_up_317_characters_and_extremes_little_more() {
        let hundred = |digest: fn(u32) -> u32| {
            let mut digests: Vec<u32> = (0..100).map(digest).collect();
            digests.sort_unstable();
            let text = write(&digests);
            assert_eq!(read(&text).unwrap(), digests);
            text.len()
        };
        let random = hundred(|number| number.wrapping_mul(2_654_435_761) >> 8);
        assert!((310..=320).contains(&random), "{random}");
        assert!(hundred(|_| 0) < 320);
        assert!(hundred(|_| (1 << BITS) - 1) < 330);
    }

    #[test]
    fn earlier_texts_are_read_and_others_refused() {
        assert_eq!(read("ypeBPiPo").unwrap(), [0x003e_23e8, 0x00ca_9781]);
        for wrong in ["ypeB/peB", "yp", "äb", ".ypeB=", ".", "._w", ".gA"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        // ten thousand times the same one in few bytes
        let many = write(&[0; MOST]);
        assert_eq!(read(&many).unwrap().len(), MOST);
        assert!(read(&write(&[0; MOST + 1])).is_err());
    }
}
