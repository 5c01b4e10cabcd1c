//! Versions: the first byte chooses a scheme, and three lines follow. What can be ordered is ordered totally.
#![no_main]

use std::cmp::Ordering;

use libfuzzer_sys::fuzz_target;
use portcullis_versions::SCHEMES;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let scheme = SCHEMES[usize::from(*first) % SCHEMES.len()];
    let mut lines = text.splitn(3, '\n');
    let [a, b, c] = [(); 3].map(|()| lines.next().unwrap_or_default());
    let (Ok(ab), Ok(ba)) = (scheme.compare(a, b), scheme.compare(b, a)) else { return };
    assert_eq!(ab, ba.reverse(), "{scheme:?} {a:?} {b:?}");
    _ = scheme.compare_to_bound(a, b);
    let (Ok(bc), Ok(ac)) = (scheme.compare(b, c), scheme.compare(a, c)) else { return };
    if ab == bc || bc == Ordering::Equal {
        assert_eq!(ac, ab, "{scheme:?} {a:?} {b:?} {c:?}");
    }
});
