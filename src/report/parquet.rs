//! Apache Parquet: the rows of the listings CSV as typed columns, for DuckDB and its like.
//!
//! `target`, `kind`, `list`, `zone`, `operator`, `role`, `tier`, `observation` are never null; `cause`, `how`, `codes`,
//! `meanings`, `reason`, `remove` (text) and `ttl` (seconds) are null where there is none. Several codes are separated by
//! blanks. Text from the network is made visible as everywhere: tools print cells as they are.
//!
//! The writer needs a place that can be moved between threads, so rows go to a spool and the whole file to `out` at the
//! end. Memory: the rows of one group, at most [`GROUP_ROWS`]. Pages are not compressed, but repeated values are kept once.

#![cfg(feature = "parquet")]

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use ::parquet::basic::{LogicalType, Repetition, Type as Physical};
use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::types::{Type, TypePtr};

use super::escape::visible;
use super::pair::Pair;
use super::sink::{Judged, RunEnd, RunHead, Sink};

/// Rows that are held before they are written.
const GROUP_ROWS: usize = 65_536;

/// Columns of text and whether a cell may be null; `ttl` follows them.
const TEXTS: [(&str, bool); 14] = [
    ("target", false),
    ("kind", false),
    ("list", false),
    ("zone", false),
    ("operator", false),
    ("role", false),
    ("tier", false),
    ("observation", false),
    ("cause", true),
    ("how", true),
    ("codes", true),
    ("meanings", true),
    ("reason", true),
    ("remove", true),
];

/// A file of pairs.
pub struct ParquetSink<W: Write, S: Read + Write + Seek + Send> {
    out: W,
    /// Taken at the end.
    writer: Option<SerializedFileWriter<S>>,
    all_rows: bool,
    texts: [Column<ByteArray>; TEXTS.len()],
    ttl: Column<i64>,
}

/// The cells of a column that wait for their group.
#[derive(Default)]
struct Column<T> {
    /// Those that are not null.
    values: Vec<T>,
    /// For each row: 1 if there is a value, else 0 (a definition level).
    there: Vec<i16>,
}

impl<T> Column<T> {
    fn push(&mut self, value: Option<T>) {
        self.there.push(i16::from(value.is_some()));
        self.values.extend(value);
    }

    fn clear(&mut self) {
        self.values.clear();
        self.there.clear();
    }
}

impl<W: Write, S: Read + Write + Seek + Send> ParquetSink<W, S> {
    /// A sink that writes to `out`. `spool` is an empty place for the file until the end. With `all_rows`, also what is
    /// not listed and what was not asked.
    ///
    /// # Errors
    /// If the spool cannot be written to.
    pub fn new(out: W, spool: S, all_rows: bool) -> io::Result<ParquetSink<W, S>> {
        let properties = WriterProperties::builder().build();
        let writer = SerializedFileWriter::new(spool, schema().map_err(plain)?, Arc::new(properties)).map_err(plain)?;
        Ok(ParquetSink {
            out,
            writer: Some(writer),
            all_rows,
            texts: Default::default(),
            ttl: Column::default(),
        })
    }

    fn push(&mut self, pair: &Pair<'_>, kind: &str) {
        let cells = [
            Some(pair.target.as_str()),
            Some(kind),
            Some(pair.list),
            Some(pair.zone),
            Some(pair.operator),
            Some(pair.role),
            Some(pair.tier),
            Some(pair.observation),
            pair.cause,
            pair.how,
            pair.codes.as_deref(),
            pair.meanings.as_deref(),
            pair.reason,
            pair.remove.as_deref(),
        ];
        for (column, cell) in self.texts.iter_mut().zip(cells) {
            column.push(cell.map(|cell| ByteArray::from(visible(cell).as_ref())));
        }
        self.ttl.push(pair.ttl.map(i64::from));
    }

    fn write_group(&mut self) -> io::Result<()> {
        let Some(writer) = self.writer.as_mut().filter(|_| !self.ttl.there.is_empty()) else {
            return Ok(());
        };
        let mut group = writer.next_row_group().map_err(plain)?;
        for (column, (_, nullable)) in self.texts.iter_mut().zip(TEXTS) {
            write_texts(&mut group, column, nullable).map_err(plain)?;
            column.clear();
        }
        write_ttl(&mut group, &self.ttl).map_err(plain)?;
        self.ttl.clear();
        group.close().map_err(plain)?;
        Ok(())
    }
}

fn write_texts<S: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, S>,
    column: &Column<ByteArray>,
    nullable: bool,
) -> Result<(), ParquetError> {
    let mut out = group.next_column()?.expect("the schema has this column");
    let there = nullable.then_some(column.there.as_slice());
    out.typed::<ByteArrayType>().write_batch(&column.values, there, None)?;
    out.close()
}

fn write_ttl<S: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, S>,
    column: &Column<i64>,
) -> Result<(), ParquetError> {
    let mut out = group.next_column()?.expect("the schema has this column");
    out.typed::<Int64Type>()
        .write_batch(&column.values, Some(&column.there), None)?;
    out.close()
}

fn schema() -> Result<TypePtr, ParquetError> {
    let mut fields: Vec<TypePtr> = Vec::new();
    for (name, nullable) in TEXTS {
        let repetition = if nullable {
            Repetition::OPTIONAL
        } else {
            Repetition::REQUIRED
        };
        let field = Type::primitive_type_builder(name, Physical::BYTE_ARRAY)
            .with_repetition(repetition)
            .with_logical_type(Some(LogicalType::String))
            .build()?;
        fields.push(Arc::new(field));
    }
    let ttl = Type::primitive_type_builder("ttl", Physical::INT64).with_repetition(Repetition::OPTIONAL);
    fields.push(Arc::new(ttl.build()?));
    Ok(Arc::new(Type::group_type_builder("pairs").with_fields(fields).build()?))
}

/// The writer's own error where there is one, so that its kind is known.
fn plain(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        other => io::Error::other(other),
    }
}

impl<W: Write, S: Read + Write + Seek + Send> Sink for ParquetSink<W, S> {
    fn begin(&mut self, _: &RunHead) -> io::Result<()> {
        Ok(())
    }

    fn target(&mut self, judged: &Judged<'_>) -> io::Result<()> {
        let kind = judged.dossier.target.kind().as_str();
        for observed in &judged.dossier.observations {
            if let Some(pair) = Pair::of(judged, observed, self.all_rows) {
                self.push(&pair, kind);
            }
        }
        if self.ttl.there.len() >= GROUP_ROWS {
            self.write_group()?;
        }
        Ok(())
    }

    fn finish(&mut self, _: &RunEnd<'_>) -> io::Result<()> {
        self.write_group()?;
        let writer = self.writer.take().expect("a sink is finished once");
        let mut spool = writer.into_inner().map_err(plain)?;
        spool.seek(SeekFrom::Start(0))?;
        io::copy(&mut spool, &mut self.out)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use ::parquet::record::RowAccessor;

    use super::super::sample::{HOSTILE, dossiers, feed};
    use super::*;

    fn rows(all_rows: bool) -> (usize, Vec<Vec<String>>) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let out = file.reopen().expect("a file of our own");
        let mut sink = ParquetSink::new(out, io::Cursor::new(Vec::new()), all_rows).expect("to memory");
        feed(&mut sink, &dossiers()).expect("to memory");
        let reader = SerializedFileReader::new(file.reopen().expect("a file of our own")).expect("a good file");
        let columns = reader.metadata().file_metadata().schema_descr().num_columns();
        let rows = reader.get_row_iter(None).expect("rows").map(|row| {
            let row = row.expect("a row");
            let text = |at: usize| row.get_string(at).cloned().unwrap_or_else(|_| "null".into());
            let mut cells: Vec<String> = (0..TEXTS.len()).map(text).collect();
            cells.push(row.get_long(TEXTS.len()).map_or("null".into(), |ttl| ttl.to_string()));
            cells
        });
        (columns, rows.collect())
    }

    #[test]
    fn the_rows_are_those_of_the_csv_and_come_back() {
        let (columns, rows) = rows(false);
        assert_eq!((columns, rows.len()), (TEXTS.len() + 1, 5));
        assert_eq!(rows[0][0], "192.0.2.7");
        assert_eq!(rows[0][12], visible(HOSTILE), "shown as everywhere");
        assert_eq!(rows[0][14], "60");
        assert_eq!(rows[2][7..11], ["unknown", "timeout", "asked", "null"]);
        assert_eq!(rows[2][14], "null");
    }

    #[test]
    fn all_rows_are_all_pairs() {
        assert_eq!(rows(true).1.len(), 4 * 6);
    }
}
