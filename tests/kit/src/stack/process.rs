//! The process, from its start to its end.

use std::{
    fs::OpenOptions,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

/// Kills a process and removes its folder as soon as standard input ends, which happens when the
/// test program ends.
const WATCHDOG: &str = r#"read -r _; kill -9 "$0" 2>/dev/null; rm -rf "$1""#;
const POLL: Duration = Duration::from_millis(10);
/// How many lines of the log are shown when the process ends by itself.
const LAST_WORDS_LINES: usize = 20;

/// A running process. Dropping it kills it.
pub(super) struct Process {
    child: Child,
    watchdog: Child,
    stdout: Arc<Mutex<String>>,
    state: watch::Receiver<State>,
    /// Whether the test ended it, so that nothing is reported.
    ended_by_us: Arc<AtomicBool>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Starting,
    Ready,
    Ended,
}

impl Process {
    /// Starts the process and appends its log to `log`. `folder` is removed if the test program
    /// ends without dropping this.
    pub(super) fn spawn(mut command: Command, log: &Path, folder: &Path) -> Self {
        let stderr = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .expect("the log can be written");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the binary can be run");
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, &child.id().to_string()])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh can be run");
        let stdout = Arc::new(Mutex::new(String::new()));
        let ended_by_us = Arc::new(AtomicBool::new(false));
        let (sender, state) = watch::channel(State::Starting);
        let pipe = child.stdout.take().expect("standard output is piped");
        let reader = Reader {
            state: sender,
            text: Arc::clone(&stdout),
            log: log.to_owned(),
            ended_by_us: Arc::clone(&ended_by_us),
        };
        std::thread::spawn(move || reader.read(pipe));
        Self {
            child,
            watchdog,
            stdout,
            state,
            ended_by_us,
        }
    }

    /// Waits for `ready`. The error says why it does not come.
    pub(super) async fn ready(&self, limit: Duration) -> Result<(), &'static str> {
        let mut state = self.state.clone();
        match tokio::time::timeout(limit, state.wait_for(|state| *state != State::Starting)).await {
            Err(_) => Err("it is not ready in time"),
            Ok(Ok(state)) if *state == State::Ready => Ok(()),
            Ok(_) => Err("it ended before it was ready"),
        }
    }

    /// Whether the process has ended by itself.
    pub(super) fn has_ended(&self) -> bool {
        *self.state.borrow() == State::Ended
    }

    /// Returns the id of the process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn output(&self) -> String {
        self.stdout
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sends SIGTERM and waits for the exit code.
    pub(super) async fn stop(mut self, limit: Duration) -> Option<i32> {
        self.ended_by_us.store(true, Ordering::Relaxed);
        let asked = Command::new("sh")
            .args(["-c", r#"kill -TERM "$0""#, &self.child.id().to_string()])
            .status();
        assert!(
            asked.expect("sh can be run").success(),
            "the process can be signalled"
        );
        let ended = async {
            loop {
                match self.child.try_wait().expect("it is our child") {
                    Some(status) => break status.code(),
                    None => tokio::time::sleep(POLL).await,
                }
            }
        };
        tokio::time::timeout(limit, ended)
            .await
            .expect("it stops in time")
    }
}

/// Reads the output of the process until it ends.
struct Reader {
    state: watch::Sender<State>,
    text: Arc<Mutex<String>>,
    log: PathBuf,
    ended_by_us: Arc<AtomicBool>,
}

impl Reader {
    fn read(self, pipe: ChildStdout) {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
            text.push_str(&line);
            text.push('\n');
            if line == "ready" {
                self.state.send_replace(State::Ready);
            }
        }
        if self.state.send_replace(State::Ended) == State::Ready
            && !self.ended_by_us.load(Ordering::Relaxed)
        {
            let log = std::fs::read(&self.log).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<&str> = log.lines().rev().take(LAST_WORDS_LINES).collect();
            eprintln!("waybill ended by itself; the last it said:");
            lines.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.ended_by_us.store(true, Ordering::Relaxed);
        // The watchdog ends first, while the process id cannot be reused. All four fail only if
        // there is nothing left to end.
        drop(self.watchdog.kill());
        drop(self.watchdog.wait());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
