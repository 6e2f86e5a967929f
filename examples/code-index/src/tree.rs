//! The source tree: which files it has, and what of them goes into the index.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use text_splitter::TextSplitter;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::{args::Part, embed::MODEL, failure::Failure};

/// Larger files are data, not source.
const LARGEST: u64 = 1 << 20;

/// Characters of a chunk: at most so many.
const CHUNK: usize = 800;

/// A file as the index has it.
#[derive(Debug)]
pub(crate) struct File {
    /// Absolute, so that one index may have many trees.
    pub(crate) path: String,
    pub(crate) language: &'static str,
    /// Of its content, and by what it was embedded: another one means that it must be indexed anew.
    pub(crate) hash: String,
    text: String,
}

/// A part of a file that is found as one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunk<'a> {
    /// Which one of the file's, from 0.
    pub(crate) number: i64,
    /// Where it begins, from 1.
    pub(crate) line: i64,
    pub(crate) text: &'a str,
}

impl File {
    /// Reads it. `None`: it is no text, is larger than source is, or has gone.
    fn read(path: &Path) -> Result<Option<Self>, Failure> {
        let read = || match fs::metadata(path)?.len() {
            0..=LARGEST => fs::read(path).map(Some),
            _ => Ok(None),
        };
        let bytes = match read() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Failure::File { path: path.to_owned(), error }),
        };
        let (Some(bytes), Some(name)) = (bytes, path.to_str()) else { return Ok(None) };
        let hash = format!("{MODEL} {:032x}", xxh3_128(&bytes));
        let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
        Ok(text.map(|text| Self { path: name.to_owned(), language: language(path), hash, text }))
    }

    /// Its chunks. They end where text does: at paragraphs, lines, sentences, whichever is larger and fits. One without a
    /// word in it cannot be found, and is none.
    pub(crate) fn chunks(&self) -> Vec<Chunk<'_>> {
        let (mut line, mut counted) = (1, 0);
        let splitter = TextSplitter::new(CHUNK);
        let with_words = |(_, text): &(usize, &str)| text.contains(char::is_alphanumeric);
        let chunks = splitter.chunk_indices(&self.text).filter(with_words).zip(0..).map(|((offset, text), number)| {
            let passed = self.text.get(counted..offset).unwrap_or_default();
            line += passed.matches('\n').count() as i64;
            counted = offset;
            Chunk { number, line, text }
        });
        chunks.collect()
    }
}

/// The files that a tree has now.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
}

impl Tree {
    pub(crate) fn at(root: &Path) -> Result<Self, Failure> {
        let root = root.canonicalize().map_err(|error| Failure::File { path: root.to_owned(), error })?;
        Ok(Self { root })
    }

    /// The paths of its files, in order. What `.gitignore` and `.ignore` name is passed over, in a tree without git too.
    pub(crate) fn paths(&self) -> Result<Vec<PathBuf>, Failure> {
        let walk = ignore::WalkBuilder::new(&self.root).require_git(false).build();
        let mut paths = Vec::new();
        for entry in walk {
            let entry = entry.map_err(Failure::Walk)?;
            if entry.file_type().is_some_and(|kind| kind.is_file()) {
                paths.push(entry.into_path());
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// The files of a part of it, each read when it is asked for.
    pub(crate) fn files(&self, part: Part) -> Result<impl Iterator<Item = Result<File, Failure>> + use<>, Failure> {
        let ours = self.paths()?.into_iter().filter(move |path| part.has(xxh3_64(path.as_os_str().as_encoded_bytes())));
        Ok(ours.filter_map(|path| File::read(&path).transpose()))
    }

    /// Which files of an index are this tree's, and have gone from it.
    pub(crate) fn gone(&self, indexed: &BTreeMap<String, String>) -> Result<Vec<String>, Failure> {
        let present = self.paths()?;
        let gone = indexed.keys().filter(|path| {
            let path = Path::new(path);
            path.starts_with(&self.root) && present.binary_search_by(|one| one.as_path().cmp(path)).is_err()
        });
        Ok(gone.cloned().collect())
    }
}

/// By the name's end.
fn language(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "rs" => "rust",
        "py" | "pyi" => "python",
        "md" => "markdown",
        "c" | "h" => "c",
        "cc" | "cpp" | "cxx" | "hpp" => "c++",
        "go" => "go",
        "java" => "java",
        "js" | "mjs" | "jsx" => "javascript",
        "ts" | "tsx" => "typescript",
        "sh" | "bash" => "shell",
        "sql" => "sql",
        "toml" => "toml",
        "yaml" | "yml" => "yaml",
        "json" => "json",
        "html" => "html",
        "css" => "css",
        _ => "text",
    }
}
