//! An exported archive, checked against its manifest.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};
use zip::ZipArchive;

/// The files of an archive by name.
pub(crate) struct Archive(BTreeMap<String, String>);

impl Archive {
    pub(crate) fn open(path: &Path) -> Self {
        Self::read(&std::fs::read(path).unwrap())
    }

    /// Every file is in the manifest, with its size, its hash and its rows.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut zip = ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut files = BTreeMap::new();
        for index in 0..zip.len() {
            let mut file = zip.by_index(index).unwrap();
            let mut content = String::new();
            file.read_to_string(&mut content).unwrap();
            files.insert(file.name().unwrap().into_owned(), content);
        }
        let archive = Self(files);
        let manifest = archive.json("manifest.json");
        let listed = manifest["files"].as_array().unwrap();
        assert_eq!(listed.len(), archive.0.len() - 1);
        for entry in listed {
            let name = entry["name"].as_str().unwrap();
            let content = archive.text(name);
            assert_eq!(entry["bytes"], content.len(), "{name}");
            let hash: String = Sha256::digest(content)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(entry["sha256"], hash, "{name}");
            match name.rsplit('.').next() {
                Some("csv") => assert_eq!(entry["rows"], archive.rows(name).len(), "{name}"),
                Some("jsonl") => assert_eq!(entry["rows"], content.lines().count(), "{name}"),
                _ => {}
            }
        }
        archive
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        &self.0[name]
    }

    /// All files.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(self.text(name)).unwrap()
    }

    /// The events.
    pub(crate) fn events(&self) -> Vec<Value> {
        let lines = self.text("events.jsonl").lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The rows of a table, without the header.
    pub(crate) fn rows(&self, name: &str) -> Vec<Vec<String>> {
        rows(self.text(name))
    }
}

/// The rows of a CSV, without the header; all have the same number of cells, and each is one line.
pub(crate) fn rows(csv: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<Vec<String>> = reader
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect();
    assert_eq!(csv.lines().count(), rows.len() + 1);
    rows
}
