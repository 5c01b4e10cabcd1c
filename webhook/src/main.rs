//! `portcullis-webhook`: the admission controller.

fn main() {}
