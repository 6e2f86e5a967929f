//! The copy of the attached file, made by a child process: this one must not open it.
//!
//! The child is our own program. What it writes to is a file without a name, opened here and inherited; the pipe that it
//! reads from is its leash: when that closes, because nobody wants the copy any more or because this process is gone, it
//! ends, and the copy with it.

use std::{
    fs::File,
    io::{self, PipeWriter, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use dbmux_os::file_copy;
use parking_lot::Mutex;

/// How copies are made.
#[derive(Debug, Clone)]
pub(super) struct Copier {
    /// What to run, and the words before those that are told it here.
    pub(super) program: Vec<PathBuf>,
    /// Bytes of a copy that shares nothing with the file.
    pub(super) limit: u64,
}

/// Keeps the child going; ended with it, should it be stopped too.
pub(super) struct Leash {
    child: Arc<Mutex<Child>>,
    _pipe: PipeWriter,
}

impl Drop for Leash {
    fn drop(&mut self) {
        // It may have ended, and have been waited for.
        let _ = self.child.lock().kill();
    }
}

/// A copy that is being made.
pub(super) struct Copying {
    child: Arc<Mutex<Child>>,
    /// Taken when the copy is whole.
    target: Option<File>,
}

impl Drop for Copying {
    /// A child that nobody wants any more ends at once, and leaves nothing behind.
    fn drop(&mut self) {
        let mut child = self.child.lock();
        // It may have ended, and have been waited for.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Copier {
    /// Starts the child. It ends when the leash is dropped.
    pub(super) fn start(&self, database: &Path) -> io::Result<(Copying, Leash)> {
        let folder = database.parent().unwrap_or(Path::new("/"));
        let target = file_copy::unnamed(folder, &scratch(database))?;
        let (leash, held) = io::pipe()?;
        let Some((program, words)) = self.program.split_first() else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this broker cannot make copies"));
        };
        let mut command = Command::new(program);
        command.args(words).arg("--source").arg(database).arg("--limit").arg(self.limit.to_string());
        command.current_dir("/").stdin(leash).stdout(target.try_clone()?).stderr(Stdio::piped());
        let child = Arc::new(Mutex::new(command.spawn()?));
        let leash = Leash { child: Arc::clone(&child), _pipe: held };
        Ok((Copying { child, target: Some(target) }, leash))
    }
}

impl Copying {
    /// Waits for its end.
    ///
    /// # Errors
    /// In the child's words.
    pub(super) fn finish(mut self) -> Result<File, String> {
        let mut said = String::new();
        let words = self.child.lock().stderr.take();
        if let Some(mut words) = words {
            // What it says is for the error only.
            let _ = words.read_to_string(&mut said);
        }
        let ended = self.child.lock().wait();
        match ended {
            Ok(status) if status.success() => self.target.take().ok_or_else(|| "the copy is gone".to_owned()),
            Ok(status) if said.trim().is_empty() => Err(format!("the process that copies ended with {status}")),
            Ok(_) => Err(said.trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A folder that the engine sweeps when it attaches the file.
fn scratch(database: &Path) -> PathBuf {
    let mut folder = database.as_os_str().to_owned();
    folder.push(".tmp");
    PathBuf::from(folder).join("dbmux")
}
