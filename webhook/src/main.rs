//! `portcullis-webhook`: the admission controller.

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis_webhook::main()
}
