//! How far a long scan is: one line on stderr that is written over, and gone when it ends.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::args::When;

/// A scan that is done by then shows nothing.
const PATIENCE: Duration = Duration::from_millis(700);
/// Between two looks.
const TICK: Duration = Duration::from_millis(200);

#[derive(Default)]
struct State {
    layers: usize,
    done: usize,
    has_ended: bool,
}

/// Shows how far a scan is until it is dropped.
pub(crate) struct Progress {
    shared: Arc<(Mutex<State>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    pub(crate) fn start(when: When) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let is_wanted = match when {
            When::Always => true,
            When::Never => false,
            When::Auto => is_terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
        };
        let shared = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let seen = Arc::clone(&shared);
        let thread = is_wanted.then(|| std::thread::spawn(move || show(&seen, is_terminal)));
        Self { shared, thread }
    }

    /// So many layers are to be read.
    pub(crate) fn begin(&self, layers: usize) {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).layers = layers;
    }

    /// One of them is.
    pub(crate) fn layer_done(&self) {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).done += 1;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).has_ended = true;
        self.shared.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that shows things has nothing to tell.
            drop(thread.join());
        }
    }
}

fn show(shared: &(Mutex<State>, Condvar), is_terminal: bool) {
    let started = Instant::now();
    let mut last = String::new();
    let mut state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut wait = PATIENCE;
    loop {
        (state, _) = shared.1.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner);
        wait = TICK;
        if state.has_ended {
            break;
        }
        if started.elapsed() < PATIENCE {
            continue;
        }
        let State { layers, done, has_ended: _ } = *state;
        let text = match layers {
            0 => "opening".to_owned(),
            // What comes after the layers has no measure.
            layers if done >= layers => "judging".to_owned(),
            layers => format!("reading layers: {done} of {layers}"),
        };
        // A stderr that is closed takes nothing, and that is no error.
        if is_terminal {
            drop(write!(std::io::stderr(), "\r\x1b[K{text}, {} s", started.elapsed().as_secs()));
        } else if text != last {
            drop(writeln!(std::io::stderr(), "{text}"));
        }
        last = text;
    }
    if is_terminal && !last.is_empty() {
        drop(write!(std::io::stderr(), "\r\x1b[K"));
    }
}
