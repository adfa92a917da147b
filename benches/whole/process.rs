//! A process that is measured, from outside: its processor time and its memory, as the kernel counts them.

use std::fs;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A process that ends with this value.
pub struct Process {
    child: Child,
    /// Its standard input. It is open as long as the process is wanted.
    pub input: ChildStdin,
}

impl Process {
    /// Starts it, with its standard output to be read.
    pub fn start(command: &mut Command) -> (Self, BufReader<ChildStdout>) {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        let input = child.stdin.take().expect("its standard input");
        let output = child.stdout.take().expect("its standard output");
        (Self { child, input }, BufReader::new(output))
    }

    fn directory(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.child.id()))
    }

    /// The processor time of all its threads so far, to the nanosecond.
    pub fn cpu(&self) -> Duration {
        let threads = fs::read_dir(self.directory().join("task")).expect("its threads");
        let nanoseconds = threads.map(|thread| {
            let path = thread.expect("a thread").path().join("schedstat");
            // A thread that ends meanwhile has nothing to say.
            let line = fs::read_to_string(path).unwrap_or_default();
            let first = line.split(' ').next().unwrap_or_default();
            first.parse::<u64>().unwrap_or_default()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// A line of its status that counts memory, in bytes: `VmRSS` now, `VmHWM` at most so far.
    pub fn memory(&self, line: &str) -> f64 {
        let status = fs::read_to_string(self.directory().join("status")).expect("its status");
        let rest = status
            .lines()
            .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let kibibytes = rest.and_then(|rest| rest.trim().strip_suffix(" kB"));
        let kibibytes: f64 = kibibytes.expect("a count of kB").parse().expect("a number");
        kibibytes * 1024.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
