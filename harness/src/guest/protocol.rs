//! The frames between assay and the agent in the guest. The other side is `fixtures/guest/agent.pl`.
//!
//! A frame is the magic `ASY1`, then kind, id, length and sum of the body (`u32`, big endian), then the body: fields,
//! each a `u32` length and its bytes. What is no frame is skipped: half of one stays in the port when either side goes.

/// Bytes of a body that either side accepts.
pub(super) const MOST: usize = 2 << 20;
const MAGIC: &[u8; 4] = b"ASY1";
const HEADER: usize = 20;

/// What a frame asks for or tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    Hello = 1,
    Exec = 2,
    Spawn = 3,
    Kill = 4,
    Put = 5,
    Get = 6,
    Clock = 7,
    PowerOff = 9,
    Status = 10,
    Processes = 11,
    Tick = 12,
    Reseed = 13,
    Reply = 128,
    Refusal = 129,
    Event = 130,
    Sample = 131,
}

/// One frame. The kind is a number, since the guest may send any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub kind: u32,
    pub id: u32,
    pub fields: Vec<Vec<u8>>,
}

impl Frame {
    /// A request.
    pub(super) fn new(kind: Kind, id: u32, fields: Vec<Vec<u8>>) -> Self {
        Self {
            kind: kind as u32,
            id,
            fields,
        }
    }

    /// Its bytes. `None` when the body is longer than either side accepts.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let length: usize = self.fields.iter().map(|field| 4 + field.len()).sum();
        if length > MOST {
            return None;
        }
        let mut bytes = Vec::with_capacity(HEADER + length);
        bytes.extend_from_slice(MAGIC);
        bytes.resize(HEADER, 0);
        for field in &self.fields {
            bytes.extend_from_slice(&(field.len() as u32).to_be_bytes());
            bytes.extend_from_slice(field);
        }
        let sum = sum(&bytes[HEADER..]);
        for (index, value) in [self.kind, self.id, length as u32, sum]
            .into_iter()
            .enumerate()
        {
            let at = 4 + 4 * index;
            bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
        Some(bytes)
    }

    /// A field as text.
    pub(super) fn text(&self, index: usize) -> Option<&str> {
        std::str::from_utf8(self.fields.get(index)?).ok()
    }

    /// A field as a decimal number.
    pub(super) fn number<T: std::str::FromStr>(&self, index: usize) -> Option<T> {
        self.text(index)?.parse().ok()
    }
}

/// The sum of the words, the last filled up with zeros: Perl's `unpack '%32N*'`, fast there, where a CRC would be a loop.
fn sum(bytes: &[u8]) -> u32 {
    let word = |chunk: &[u8]| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        u32::from_be_bytes(word)
    };
    bytes
        .chunks(4)
        .fold(0, |sum: u32, chunk| sum.wrapping_add(word(chunk)))
}

/// Finds frames in what arrives.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    bytes: Vec<u8>,
    /// Bytes that belonged to no frame.
    pub skipped: u64,
}

impl Decoder {
    /// Takes what arrived and gives the frames that are whole now.
    pub(super) fn push(&mut self, arrived: &[u8]) -> Vec<Frame> {
        self.bytes.extend_from_slice(arrived);
        let mut frames = Vec::new();
        let mut at = 0;
        while let Step::Frame(frame, next) | Step::Skip(frame, next) = self.step(at) {
            at = next;
            frames.extend(frame);
        }
        self.bytes.drain(..at);
        frames
    }

    fn step(&mut self, at: usize) -> Step {
        let rest = &self.bytes[at..];
        let Some(begin) = rest.windows(4).position(|window| window == MAGIC) else {
            // The magic may be half there.
            let junk = rest.len().saturating_sub(3);
            self.skipped += junk as u64;
            return if junk == 0 {
                Step::Wait
            } else {
                Step::Skip(None, at + junk)
            };
        };
        if begin > 0 {
            self.skipped += begin as u64;
            return Step::Skip(None, at + begin);
        }
        if rest.len() < HEADER {
            return Step::Wait;
        }
        let word = |index: usize| {
            let bytes = &rest[4 * index..4 * index + 4];
            bytes
                .iter()
                .fold(0u32, |word, byte| word << 8 | u32::from(*byte))
        };
        let length = word(3) as usize;
        if length <= MOST {
            let Some(body) = rest.get(HEADER..HEADER + length) else {
                return Step::Wait;
            };
            if sum(body) == word(4)
                && let Some(fields) = fields(body)
            {
                let frame = Frame {
                    kind: word(1),
                    id: word(2),
                    fields,
                };
                return Step::Frame(Some(frame), at + HEADER + length);
            }
        }
        self.skipped += 1;
        Step::Skip(None, at + 1)
    }
}

enum Step {
    Frame(Option<Frame>, usize),
    Skip(Option<Frame>, usize),
    Wait,
}

fn fields(mut body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut fields = Vec::new();
    while !body.is_empty() {
        let (length, rest) = body.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        fields.push(rest.get(..length)?.to_vec());
        body = &rest[length..];
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: u32) -> Frame {
        Frame::new(
            Kind::Exec,
            id,
            vec![b"a\0b".to_vec(), Vec::new(), MAGIC.to_vec()],
        )
    }

    #[test]
    fn frames_survive_any_cut() {
        let bytes: Vec<u8> = (1..4).flat_map(|id| frame(id).encode().unwrap()).collect();
        for size in [1, 2, 7, bytes.len()] {
            let mut decoder = Decoder::default();
            let frames: Vec<_> = bytes
                .chunks(size)
                .flat_map(|chunk| decoder.push(chunk))
                .collect();
            assert_eq!(
                frames,
                [frame(1), frame(2), frame(3)],
                "in pieces of {size}"
            );
            assert_eq!((decoder.skipped, decoder.bytes.len()), (0, 0));
        }
    }

    #[test]
    fn junk_and_halves_are_skipped_up_to_the_next_frame() {
        let whole = frame(9).encode().unwrap();
        let mut bytes = b"kernel panic ASY".to_vec();
        bytes.extend_from_slice(&whole[..whole.len() - 1]); // its sender went away
        bytes.extend_from_slice(&whole);
        bytes.extend_from_slice(&whole);
        let mut decoder = Decoder::default();
        let frames = decoder.push(&bytes);
        assert_eq!(frames, [frame(9), frame(9)]);
        assert_eq!(decoder.skipped as usize, 16 + whole.len() - 1);
    }

    #[test]
    fn a_wrong_sum_length_or_field_is_no_frame() {
        let whole = frame(1).encode().unwrap();
        let good = frame(2).encode().unwrap();
        for (at, with) in [(HEADER + 5, 0x7f), (12, 0xff), (HEADER, 0x40)] {
            let mut broken = whole.clone();
            broken[at] = with;
            broken.extend_from_slice(&good);
            let mut decoder = Decoder::default();
            assert_eq!(decoder.push(&broken), [frame(2)], "byte {at}");
            assert!(decoder.skipped > 0);
        }
        let long = Frame::new(Kind::Put, 1, vec![vec![0; MOST]]);
        assert!(long.encode().is_none());
    }

    #[test]
    fn endless_junk_takes_no_memory() {
        let mut decoder = Decoder::default();
        for _ in 0..100 {
            assert!(decoder.push(&[b'A'; 65536]).is_empty());
        }
        assert!(decoder.bytes.len() < 4);
    }
}
