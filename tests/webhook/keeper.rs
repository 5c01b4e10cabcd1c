//! Programs that end with the test process, however that ends.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock, mpsc},
    thread,
};

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Starts a program, its output in a file. The kernel kills it when the thread that started it ends, which here is one
/// that lives as long as the process: nothing is left behind by a test run that is interrupted or killed.
pub fn start(program: &Path, arguments: &[OsString], log: &Path) -> Child {
    static KEEPER: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (orders, receiver) = mpsc::channel::<Order>();
        let keep = move || receiver.into_iter().for_each(|(mut command, done)| _ = done.send(command.spawn()));
        thread::Builder::new().name("keeper".to_owned()).spawn(keep).unwrap();
        Mutex::new(orders)
    });
    // Of util-linux: sets what the kernel sends, then becomes the program.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program).args(arguments);
    let log = File::options().create(true).append(true).open(log).unwrap();
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", "/nonexistent");
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let (done, started) = mpsc::channel();
    keeper.lock().unwrap().send((command, done)).unwrap();
    started.recv().unwrap().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// Arguments of any kind of text.
pub fn arguments<T: AsRef<OsStr>>(arguments: impl IntoIterator<Item = T>) -> Vec<OsString> {
    arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect()
}
