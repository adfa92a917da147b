//! The part of a CSV that a tool result holds: the selected columns, and as many whole rows as fit.

use csv::StringRecord;

use super::budget::{OutputOptions, json_len};
use super::select::Select;

/// Rows that are named where they do not fit even alone.
const MAX_NAMED: usize = 20;

/// The part of a CSV that fits into a tool result.
#[derive(Debug, Default)]
pub struct CsvPage {
    /// A valid file, each record a line.
    pub text: String,
    /// Its records, without the header.
    pub rows: usize,
    /// The UUIDs of rows that are too large for a result, the first few.
    pub too_large: Vec<String>,
    /// The number of those rows.
    pub too_large_count: usize,
    /// Whether further rows did not fit.
    pub truncated: bool,
    /// Selected properties that no row has.
    pub never_set: Vec<String>,
}

/// Selects columns of a CSV that is sanitized and redacted already, and the rows that fit. Without a selection every column
/// stays.
#[must_use]
pub fn csv_page(options: &OutputOptions, csv: &str, select: &Select) -> CsvPage {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(csv.as_bytes());
    let Ok(header) = reader.headers().cloned() else {
        return CsvPage::default();
    };
    if header.is_empty() {
        return CsvPage::default();
    }
    let (columns, never_set) = columns(&header, select);
    let uuid = header.iter().position(|column| column == UUID);
    let budget = options.for_rows();
    let names = columns.iter().map(|(name, _)| name.as_str());
    let mut page = CsvPage {
        text: line(names),
        never_set,
        ..CsvPage::default()
    };
    let header_bytes = size(options, &page.text);
    if header_bytes > budget {
        return CsvPage {
            truncated: true,
            ..CsvPage::default()
        };
    }
    let mut used = header_bytes;
    for record in reader.records().map_while(Result::ok) {
        let cells = columns.iter().map(|(_, place)| {
            place
                .and_then(|place| record.get(place))
                .unwrap_or_default()
        });
        let row = line(cells);
        let bytes = size(options, &row);
        if header_bytes + bytes > budget {
            page.too_large_count += 1;
            let named = uuid.and_then(|uuid| record.get(uuid));
            if page.too_large.len() < MAX_NAMED {
                page.too_large.extend(named.map(str::to_owned));
            }
            continue;
        }
        used += bytes;
        if used > budget {
            page.truncated = true;
            break;
        }
        page.text.push_str(&row);
        page.rows += 1;
    }
    page
}

const UUID: &str = "uuid";
const PROPERTIES: &str = "properties.";

/// The columns to show, each with its place in the file; and the selected properties without one. Values that are lists or
/// objects have several columns.
fn columns(header: &StringRecord, select: &Select) -> (Vec<(String, Option<usize>)>, Vec<String>) {
    let Select::Keys(keys) = select else {
        let all = header.iter().enumerate();
        return (
            all.map(|(place, name)| (name.to_owned(), Some(place)))
                .collect(),
            Vec::new(),
        );
    };
    let place = header.iter().position(|column| column == UUID);
    let mut columns = vec![(UUID.to_owned(), place)];
    let mut never_set = Vec::new();
    for key in keys {
        let before = columns.len();
        for (place, column) in header.iter().enumerate() {
            let Some(name) = column.strip_prefix(PROPERTIES) else {
                continue;
            };
            let within = name.strip_prefix(key.as_str());
            if within.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
                columns.push((name.to_owned(), Some(place)));
            }
        }
        if columns.len() == before {
            columns.push((key.clone(), None));
            never_set.push(key.clone());
        }
    }
    (columns, never_set)
}

/// A record, ending with a line break.
fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let mut writer = csv::WriterBuilder::new()
        .flexible(true)
        .from_writer(Vec::new());
    let written = writer.write_record(cells).is_ok();
    let bytes = writer.into_inner().unwrap_or_default();
    if written {
        String::from_utf8(bytes).unwrap_or_default()
    } else {
        String::new()
    }
}

/// Structured content is larger than the text, because quotes and line breaks are escaped there.
fn size(options: &OutputOptions, text: &str) -> usize {
    if options.structured {
        json_len(&text)
    } else {
        text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selected_columns_of_the_rows_that_fit() {
        let long = "x".repeat(3000);
        let csv = format!(
            "created_at,properties.plan,properties.tags.0,properties.tags.1,properties.planet,uuid\n\
             t,pro,a,b,mars,1\nt,{long},,,,2\nt,\"a,\"\"b\",,,,3\n"
        );
        let options = OutputOptions {
            bytes: 4000,
            ..OutputOptions::default()
        };
        let keys = ["tags", "plan", "none"].map(str::to_owned).to_vec();
        let page = csv_page(&options, &csv, &Select::Keys(keys));
        assert_eq!(
            page.text,
            "uuid,tags.0,tags.1,plan,none\n1,a,b,pro,\n3,,,\"a,\"\"b\",\n"
        );
        assert_eq!(
            (page.rows, page.too_large_count, page.truncated),
            (2, 1, false)
        );
        assert_eq!(
            (page.too_large, page.never_set),
            (vec!["2".to_owned()], vec!["none".to_owned()])
        );
        let all = csv_page(&OutputOptions::default(), &csv, &Select::All);
        assert_eq!(all.text, csv);
        assert_eq!(csv_page(&options, "", &Select::All).text, "");
    }
}
