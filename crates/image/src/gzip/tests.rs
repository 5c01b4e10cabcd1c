//! What our decoders make of streams is what `flate2` makes of them, whole and damaged.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::{self, BufReader, Read, Write as _};

use flate2::{Compression, GzBuilder, bufread::MultiGzDecoder};
use proptest::prelude::*;

use super::{Decoder, Inflate, zlib::Zlib};

/// Everything that a reader gives, and the error that ended it.
type Outcome = (Vec<u8>, Option<(io::ErrorKind, String)>);

/// Gives at most so many bytes at a time.
struct Slow<R>(R, usize);

impl<R: Read> Read for Slow<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.1);
        self.0.read(&mut buffer[..length])
    }
}

/// Reads pieces of so many bytes until the end, or an error.
fn drain(mut source: impl Read, piece: usize) -> Outcome {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; piece]);
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return (bytes, None),
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(error) => return (bytes, Some((error.kind(), error.to_string()))),
        }
    }
}

/// What `flate2` itself makes of it. A byte at a time: what comes with an error in one call is lost there.
fn reference(packed: &[u8]) -> Outcome {
    drain(MultiGzDecoder::new(packed), 1)
}

fn ours<I: Inflate>(packed: &[u8], input: usize, output: usize) -> Outcome {
    let source = BufReader::with_capacity(input.max(1), Slow(packed, input));
    drain(Decoder::<_, I>::new(source), output)
}

/// Says where two outcomes part.
fn same(found: &Outcome, expected: &Outcome) -> Result<(), TestCaseError> {
    let shared = found.0.iter().zip(&expected.0).take_while(|(found, expected)| found == expected).count();
    let say = |one: &Outcome| format!("{} bytes, then {:?}", one.0.len(), one.1);
    prop_assert!(found == expected, "{}; flate2: {}; {shared} bytes are the same", say(found), say(expected));
    Ok(())
}

/// Headers of every kind that RFC 1952 knows, a checksum of the header included.
#[derive(Debug, Clone)]
struct Member {
    data: Vec<u8>,
    level: u32,
    extra: Option<Vec<u8>>,
    name: Option<Vec<u8>>,
    comment: Option<Vec<u8>>,
    is_checked: bool,
}

impl Member {
    fn packed(&self) -> Vec<u8> {
        let mut builder = GzBuilder::new().mtime(1);
        if let Some(extra) = &self.extra {
            builder = builder.extra(extra.clone());
        }
        if let Some(name) = &self.name {
            builder = builder.filename(name.clone());
        }
        if let Some(comment) = &self.comment {
            builder = builder.comment(comment.clone());
        }
        let mut encoder = builder.write(Vec::new(), Compression::new(self.level));
        encoder.write_all(&self.data).unwrap();
        let packed = encoder.finish().unwrap();
        if !self.is_checked {
            return packed;
        }
        let length = 10
            + self.extra.as_ref().map_or(0, |extra| 2 + extra.len())
            + self.name.as_ref().map_or(0, |name| name.len() + 1)
            + self.comment.as_ref().map_or(0, |comment| comment.len() + 1);
        let mut header = packed[..length].to_vec();
        header[3] |= 2;
        let mut checksum = flate2::Crc::new();
        checksum.update(&header);
        header.extend_from_slice(&checksum.sum().to_le_bytes()[..2]);
        header.extend_from_slice(&packed[length..]);
        header
    }
}

/// Data of several kinds: noise, text that repeats itself, runs; small and larger than ISA-L's own buffer.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let noise = proptest::collection::vec(any::<u8>(), 0..3000);
    let text = (proptest::collection::vec("[a-e]{1,9}", 1..40), 1..400_usize)
        .prop_map(|(words, times)| (0..times).flat_map(|at| words[at * 7 % words.len()].bytes()).collect());
    let run = (any::<u8>(), 0..100_000_usize).prop_map(|(byte, length)| vec![byte; length]);
    let small = proptest::collection::vec(97..101_u8, 0..60);
    let one = prop_oneof![noise, text, run, small];
    proptest::collection::vec(one, 0..4).prop_map(|parts| parts.concat())
}

fn member() -> impl Strategy<Value = Member> {
    let text = || proptest::option::of(proptest::collection::vec(1..=255_u8, 0..300));
    let extra = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300));
    (data(), 0..10_u32, extra, text(), text(), any::<bool>()).prop_map(
        |(data, level, extra, name, comment, is_checked)| Member { data, level, extra, name, comment, is_checked },
    )
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(member(), 1..4).prop_map(|members| members.iter().flat_map(Member::packed).collect())
}

/// How a stream is damaged.
#[derive(Debug, Clone)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Rubbish(Vec<u8>),
    Gone(prop::sample::Index, usize),
}

impl Damage {
    fn done_to(&self, bytes: &mut Vec<u8>) {
        match self {
            _ if bytes.is_empty() => {}
            Self::Flip(at, bits) => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Rubbish(rubbish) => bytes.extend_from_slice(rubbish),
            Self::Gone(at, length) => {
                let at = at.index(bytes.len());
                let end = (at + length).min(bytes.len());
                drop(bytes.drain(at..end));
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), 0..8_u32).prop_map(|(at, bit)| Damage::Flip(at, 1 << bit)),
        at().prop_map(Damage::Cut),
        proptest::collection::vec(any::<u8>(), 1..40).prop_map(Damage::Rubbish),
        (at(), 1..9_usize).prop_map(|(at, length)| Damage::Gone(at, length)),
    ]
}

fn pieces() -> impl Strategy<Value = (usize, usize)> {
    let size = || prop_oneof![Just(1), 2..20_usize, 20..5000_usize, Just(128 << 10)];
    (size(), prop_oneof![size(), Just(256 << 10)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_whole_is_read_as_flate2_reads_it(packed in stream(), (input, output) in pieces()) {
        let expected = reference(&packed);
        prop_assert!(expected.1.is_none());
        same(&ours::<Zlib>(&packed, input, output), &expected)?;
        #[cfg(feature = "isal")]
        same(&ours::<crate::isal::Isal>(&packed, input, output), &expected)?;
    }

    #[test]
    fn what_is_damaged_is_refused_as_flate2_refuses_it(
        mut packed in stream(),
        damage in proptest::collection::vec(damage(), 1..3),
        (input, output) in pieces(),
    ) {
        damage.iter().for_each(|damage| damage.done_to(&mut packed));
        let (mut expected, found) = (reference(&packed), ours::<Zlib>(&packed, input, output));
        // A byte that comes in one call with the error is lost there.
        if expected.1.is_some() {
            expected.0.extend(found.0.get(expected.0.len()));
        }
        same(&found, &expected)?;
        #[cfg(feature = "isal")]
        {
            let found = ours::<crate::isal::Isal>(&packed, input, output);
            let shared = found.0.len().min(expected.0.len());
            prop_assert!(found.0[..shared] == expected.0[..shared]);
            prop_assert!(found.0.len() + 258 >= expected.0.len(), "{} of {} bytes", found.0.len(), expected.0.len());
            prop_assert_eq!(found.1.is_some(), expected.1.is_some());
        }
    }

    #[test]
    fn damage_outside_the_data_is_refused_with_the_same_words(
        member in member(),
        others in stream(),
        at in 0..18_usize,
        bit in 0..8_u32,
        rubbish in proptest::collection::vec(any::<u8>(), 0..30),
        (input, output) in pieces(),
    ) {
        let mut packed = member.packed();
        // The fixed part of the header, or the trailer.
        let at = if at < 10 { at } else { packed.len() - 18 + at };
        packed[at] ^= 1 << bit;
        packed.extend(others);
        packed.extend(rubbish);
        let expected = reference(&packed);
        // Flags that were flipped make data of what was none.
        prop_assume!(at != 3);
        same(&ours::<Zlib>(&packed, input, output), &expected)?;
        #[cfg(feature = "isal")]
        same(&ours::<crate::isal::Isal>(&packed, input, output), &expected)?;
    }
}

/// `flate2`'s own limit: what a header may hold is bounded.
#[test]
fn a_name_without_an_end_is_refused() {
    let mut packed = vec![0x1f, 0x8b, 8, 1 << 3, 0, 0, 0, 0, 0, 3];
    packed.extend(std::iter::repeat_n(b'a', 70_000));
    let expected = reference(&packed);
    assert_eq!(expected.1.as_ref().map(|(_, text)| text.as_str()), Some("gzip header field too long"));
    assert_eq!(ours::<Zlib>(&packed, 1 << 10, 1 << 10), expected);
}

/// After an error there is no more to read, and an error of the source is passed on.
#[test]
fn an_error_stays() {
    let packed = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 7];
    let mut decoder = Decoder::<_, Zlib>::new(packed.as_slice());
    for _ in 0..2 {
        assert_eq!(decoder.read(&mut [0; 10]).unwrap_err().to_string(), "corrupt deflate stream");
    }
    let broken = BufReader::new(Broken);
    assert_eq!(Decoder::<_, Zlib>::new(broken).read(&mut [0; 10]).unwrap_err().to_string(), "gone");
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("gone"))
    }
}
