//! Redaction of PostHog's CSV, by column.

use std::borrow::Cow;

use super::person::RedactedTerms;
use super::rules::{REDACTED, Redaction};

impl Redaction {
    /// Redacts PostHog's CSV. Of a truncated file the last record is dropped, because it may be incomplete.
    pub(in crate::output) fn csv<'a>(&self, csv: &'a str, truncated: bool) -> Cow<'a, str> {
        if self.is_empty() {
            return Cow::Borrowed(csv);
        }
        // A file that cannot be parsed cannot be redacted, so that nothing of it is shown.
        Cow::Owned(self.rewrite_csv(csv, truncated).unwrap_or_default())
    }

    fn rewrite_csv(&self, text: &str, truncated: bool) -> Option<String> {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(text.as_bytes());
        let mut writer = csv::WriterBuilder::new()
            .flexible(true)
            .from_writer(Vec::new());
        let header = reader.headers().ok()?.clone();
        writer
            .write_record(header.iter().map(|column| self.mask(column).into_owned()))
            .ok()?;
        let redacted: Vec<bool> = header
            .iter()
            .map(|column| self.redacts_column(column))
            .collect();
        let mut records: Vec<csv::StringRecord> =
            reader.records().collect::<Result<_, _>>().ok()?;
        if truncated {
            records.pop();
        }
        for record in &records {
            let cells = || record.iter().zip(&redacted);
            let texts: Vec<String> = cells()
                .filter(|(_, redacted)| **redacted)
                .map(|(cell, _)| cell.to_owned())
                .collect();
            let terms = RedactedTerms::new(&texts);
            let known: Vec<String> = header
                .iter()
                .zip(cells())
                .filter(|(column, (_, redacted))| !**redacted && *column != "name")
                .map(|(_, (cell, _))| cell.to_owned())
                .collect();
            let row = record.iter().enumerate().map(|(index, cell)| {
                let redacted = redacted.get(index).copied().unwrap_or(self.is_active());
                let shown = match header.get(index) {
                    _ if redacted && !cell.is_empty() => Cow::Borrowed(REDACTED),
                    Some("name") if self.is_active() => self.name(cell, &known, &terms),
                    _ => terms.redact(cell),
                };
                self.mask(&shown).into_owned()
            });
            writer.write_record(row).ok()?;
        }
        String::from_utf8(writer.into_inner().ok()?).ok()
    }

    /// Whether a column holds values of a redacted property. Nested keys are joined by dots, and keys can hold dots.
    fn redacts_column(&self, column: &str) -> bool {
        let Some(path) = column.strip_prefix("properties.") else {
            return false;
        };
        let ends = path.match_indices('.').map(|(end, _)| end);
        let starts = std::iter::once(0).chain(ends.clone().map(|dot| dot + 1));
        let ends: Vec<usize> = ends.chain([path.len()]).collect();
        starts
            .flat_map(|start| ends.iter().map(move |end| (start, *end)))
            .filter_map(|(start, end)| path.get(start..end))
            .any(|key| !key.is_empty() && self.redacts(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction(keys: &[&str], emails: bool) -> Redaction {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        Redaction::new(&keys, emails)
    }

    #[test]
    fn csv_is_redacted_by_column() {
        let csv = "distinct_ids.0,name,properties.address.email,properties.email,properties.plan\r\n\
                   a@x.org,a@x.org,b@x.org,a@x.org,\"pro, a@x.org\"\r\nrest,\"of";
        let redacted = redaction(&["email"], false).csv(csv, true).into_owned();
        assert_eq!(
            redacted,
            "distinct_ids.0,name,properties.address.email,properties.email,properties.plan\n\
             [redacted],[redacted],[redacted],[redacted],\"pro, [redacted]\"\n"
        );
        let masked = redaction(&[], true).csv(csv, true).into_owned();
        assert!(
            !masked.contains('@') && masked.contains("[email]"),
            "{masked}"
        );
        assert_eq!(Redaction::default().csv(csv, false), csv);
    }
}
