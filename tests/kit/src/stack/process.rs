//! The process, from its start to whichever end.

use std::{
    fs::OpenOptions,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

/// Kills a process and removes its folder as soon as standard input ends, which it does when the test program has, however that ends.
const WATCHDOG: &str = r#"read -r _; kill -9 "$0" 2>/dev/null; rm -rf "$1""#;
const POLL: Duration = Duration::from_millis(10);

/// A running process; dropping it kills it.
pub(super) struct Process {
    child: Child,
    watchdog: Child,
    stdout: Arc<Mutex<String>>,
    state: watch::Receiver<State>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Starting,
    Ready,
    Ended,
}

impl Process {
    /// Starts it; what it logs is appended to `log`. `folder` goes when the test program ends without having dropped this.
    pub(super) fn spawn(mut command: Command, log: &Path, folder: &Path) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(log).expect("the log can be written");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().expect("the binary can be run");
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, &child.id().to_string()])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh can be run");
        let stdout = Arc::new(Mutex::new(String::new()));
        let (tell, state) = watch::channel(State::Starting);
        let (pipe, text) = (child.stdout.take().expect("standard output is piped"), Arc::clone(&stdout));
        std::thread::spawn(move || read(pipe, &text, &tell));
        Self { child, watchdog, stdout, state }
    }

    /// Waits for `ready`; the error is why it does not come.
    pub(super) async fn ready(&self, limit: Duration) -> Result<(), &'static str> {
        let mut state = self.state.clone();
        match tokio::time::timeout(limit, state.wait_for(|state| *state != State::Starting)).await {
            Err(_) => Err("it is not ready in time"),
            Ok(Ok(state)) if *state == State::Ready => Ok(()),
            Ok(_) => Err("it ended before it was ready"),
        }
    }

    pub(super) fn output(&self) -> String {
        self.stdout.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends SIGTERM and waits for the exit code.
    pub(super) async fn stop(mut self, limit: Duration) -> Option<i32> {
        let asked = Command::new("sh").args(["-c", r#"kill -TERM "$0""#, &self.child.id().to_string()]).status();
        assert!(asked.expect("sh can be run").success(), "the process can be signalled");
        let ended = async {
            loop {
                match self.child.try_wait().expect("it is our child") {
                    Some(status) => break status.code(),
                    None => tokio::time::sleep(POLL).await,
                }
            }
        };
        tokio::time::timeout(limit, ended).await.expect("it stops in time")
    }
}

fn read(pipe: ChildStdout, text: &Mutex<String>, tell: &watch::Sender<State>) {
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(&line);
        text.push('\n');
        if line == "ready" {
            tell.send_replace(State::Ready);
        }
    }
    tell.send_replace(State::Ended);
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watchdog first, as long as the process's number cannot be another's. All four fail only when there is nothing left to end.
        drop(self.watchdog.kill());
        drop(self.watchdog.wait());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
