fn main() {
    let mut b = portcullis_advisories::Builder::new();
    let t = std::time::Instant::now();
    for d in std::env::args().skip(2) {
        portcullis_advisories::add_directory(&mut b, d.as_ref()).unwrap();
    }
    eprintln!("read {:?}", t.elapsed());
    let s = b.write(std::env::args().nth(1).unwrap().as_ref()).unwrap();
    eprintln!("{:?} {} {} {} {} withdrawn {}", t.elapsed(), s.digest, s.bytes, s.advisories, s.packages, s.withdrawn);
    eprintln!("warnings {}", s.warnings.len());
    for w in s.warnings.iter().step_by(s.warnings.len() / 40 + 1) {
        eprintln!("{w:?}");
    }
    let t = std::time::Instant::now();
    let db = portcullis_advisories::Database::open(std::env::args().nth(1).unwrap().as_ref()).unwrap();
    eprintln!("open {:?}", t.elapsed());
    use portcullis_model::AdvisoryLookup;
    let t = std::time::Instant::now();
    let a = db.affected("PyPI", "django").unwrap();
    eprintln!("lookup {:?} {}", t.elapsed(), a.len());
    for x in a.iter().take(3) {
        eprintln!("{x:?}\n{:?}", db.advisory(x.advisory, true));
    }
    eprintln!("{:?}", db.exploited("CVE-2021-44228"));
    for h in db.search("CVE-2021-44228").unwrap() {
        eprintln!("{}", h.advisory.id);
    }
    let t = std::time::Instant::now();
    db.verify().unwrap();
    eprintln!("verify {:?}", t.elapsed());
    let t = std::time::Instant::now();
    let s = portcullis_advisories::build_starter().unwrap();
    eprintln!("starter {:?} {}", t.elapsed(), s.advisory_count());
}
