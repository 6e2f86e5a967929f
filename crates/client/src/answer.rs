//! What a statement answers, as it arrives.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{Int64Type, SchemaRef},
};
use arrow_flight::{
    FlightData,
    decode::{DecodedPayload, FlightDataDecoder},
    error::FlightError,
};
use dbmux_proto::{AnswerHead, StatementKind};
use futures::{StreamExt, TryStreamExt};
use prost::Message;

use crate::{
    ClientError,
    connect::{Trouble, trouble},
};

/// A statement's answer: a stream of Arrow batches. Dropped before its end, it cancels the statement.
pub struct Answer {
    decoder: FlightDataDecoder,
    schema: SchemaRef,
    head: AnswerHead,
    database: std::path::PathBuf,
}

impl Answer {
    /// Waits for the answer's begin: its schema, or the error that the statement ended with.
    pub(crate) async fn begin(
        stream: tonic::Streaming<FlightData>,
        database: std::path::PathBuf,
    ) -> Result<Self, Trouble> {
        let mut decoder = FlightDataDecoder::new(stream.map_err(FlightError::from));
        while let Some(message) = decoder.next().await {
            let message = message.map_err(flight_trouble)?;
            if let DecodedPayload::Schema(schema) = message.payload {
                let head = AnswerHead::decode(message.inner.app_metadata)
                    .map_err(|error| Trouble::Undecodable(error.to_string()))?;
                return Ok(Self { decoder, schema, head, database });
            }
        }
        Err(Trouble::Lost)
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    /// What the statement was.
    pub fn kind(&self) -> StatementKind {
        self.head.kind()
    }

    /// The answer is one row with one `BIGINT`: the number of rows changed.
    pub fn rows_changed(&self) -> bool {
        self.head.rows_changed
    }

    /// Set where a snapshot answered: the moment as of which it is true, RFC 3339.
    pub fn as_of(&self) -> Option<&str> {
        (!self.head.as_of.is_empty()).then_some(self.head.as_of.as_str())
    }

    /// What a person should be told.
    pub fn notices(&self) -> &[String] {
        &self.head.notices
    }

    /// The next batch; `None` at the end.
    ///
    /// # Errors
    /// Whatever the statement ends with; the answer is over then.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, ClientError> {
        while let Some(message) = self.decoder.next().await {
            let message = message.map_err(|error| self.error(flight_trouble(error)))?;
            if let DecodedPayload::RecordBatch(batch) = message.payload {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// All batches.
    ///
    /// # Errors
    /// Whatever the statement ends with.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, ClientError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await? {
            batches.push(batch);
        }
        Ok(batches)
    }

    /// The number of rows changed; 0 for a statement that answers with rows, which are read to their end.
    pub(crate) async fn changed(self) -> Result<u64, ClientError> {
        let counts = self.rows_changed();
        let batches = self.collect().await?;
        let count = batches.first().filter(|_| counts).and_then(|batch| {
            let column = batch.columns().first()?.as_primitive_opt::<Int64Type>()?;
            (!column.is_empty() && column.is_valid(0)).then(|| column.value(0))
        });
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default())
    }

    fn error(&self, trouble: Trouble) -> ClientError {
        match trouble {
            Trouble::Broker(detail) => ClientError::Broker(detail),
            Trouble::Undecodable(text) => ClientError::Decode(text),
            Trouble::NotSent | Trouble::Lost if self.kind() == StatementKind::Read => {
                ClientError::SessionLost { database: self.database.clone() }
            }
            Trouble::NotSent | Trouble::Lost => ClientError::OutcomeUnknown { database: self.database.clone() },
        }
    }
}

fn flight_trouble(error: FlightError) -> Trouble {
    match error {
        FlightError::Tonic(status) => trouble(*status),
        other => Trouble::Undecodable(other.to_string()),
    }
}
