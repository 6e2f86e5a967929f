//! What a statement answers, as it arrives.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{Int64Type, SchemaRef},
};
use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
use dbmux_proto::{AnswerHead, StatementKind};
use futures::StreamExt;

use crate::{
    ClientError,
    connect::{self, Trouble},
    session::{Attempt, Begun, flight_trouble},
    shared::Open,
};

/// A statement's answer: a stream of Arrow batches. Dropped before its end, it cancels the statement.
///
/// It holds its session until it is read to the end, or dropped; another statement of that session waits so long.
pub struct Answer {
    schema: SchemaRef,
    head: AnswerHead,
    /// `None`: it is over.
    rest: Option<Rest>,
}

/// What has not been read yet.
struct Rest {
    /// First, so that the broker is told before the session is given to somebody else.
    decoder: FlightDataDecoder,
    open: Open,
    attempt: Attempt,
    /// No row of it has been given out.
    unseen: bool,
}

/// What comes next.
enum Step {
    Batch(RecordBatch),
    /// The statement was sent again: from the beginning.
    Again,
    End,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, over) = (self.kind(), self.rest.is_none());
        f.debug_struct("Answer").field("kind", &kind).field("schema", &self.schema).field("over", &over).finish()
    }
}

impl Answer {
    pub(crate) fn new(begun: Begun, attempt: Attempt) -> Self {
        let Begun { decoder, schema, head, open } = begun;
        Self { schema, head, rest: Some(Rest { decoder, open, attempt, unseen: true }) }
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

    /// The next batch; `None` at the end, and ever after.
    ///
    /// # Errors
    /// Whatever the statement ends with, or [`ClientError::AnswerLost`] when the broker goes away; the answer is over
    /// then.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, ClientError> {
        loop {
            match self.step().await? {
                Step::Batch(batch) => {
                    if let Some(rest) = &mut self.rest {
                        rest.unseen = false;
                    }
                    return Ok(Some(batch));
                }
                Step::Again => {}
                Step::End => return Ok(None),
            }
        }
    }

    /// All batches that have not been read yet.
    ///
    /// # Errors
    /// As [`Answer::next`].
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, ClientError> {
        let mut batches = Vec::new();
        loop {
            match self.step().await? {
                Step::Batch(batch) => batches.push(batch),
                // Nobody has seen them.
                Step::Again => batches.clear(),
                Step::End => return Ok(batches),
            }
        }
    }

    /// The number of rows changed; 0 for a statement that answers with rows, which are read to their end.
    ///
    /// # Errors
    /// As [`Answer::next`].
    pub async fn changed(mut self) -> Result<u64, ClientError> {
        let counts = self.rows_changed();
        let mut count = None;
        loop {
            match self.step().await? {
                Step::Batch(batch) if counts => count = count.or_else(|| first_number(&batch)),
                // Of rows nothing is kept: there may be many.
                Step::Batch(_) => {}
                Step::Again => count = None,
                Step::End => break,
            }
        }
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default())
    }

    async fn step(&mut self) -> Result<Step, ClientError> {
        let Some(rest) = &mut self.rest else { return Ok(Step::End) };
        let trouble = match rest.receive().await {
            Ok(Some(batch)) => return Ok(Step::Batch(batch)),
            Ok(None) => {
                rest.attempt.has_ended();
                self.rest = None;
                return Ok(Step::End);
            }
            Err(trouble) => trouble,
        };
        let outcome = rest.recover(trouble, &self.schema, self.head.kind()).await;
        match outcome {
            Ok(head) => {
                self.head = head;
                Ok(Step::Again)
            }
            Err(error) => {
                self.rest = None;
                Err(error)
            }
        }
    }
}

fn first_number(batch: &RecordBatch) -> Option<i64> {
    let column = batch.columns().first()?.as_primitive_opt::<Int64Type>()?;
    (!column.is_empty() && column.is_valid(0)).then(|| column.value(0))
}

impl Rest {
    async fn receive(&mut self) -> Result<Option<RecordBatch>, Trouble> {
        let Self { decoder, open, attempt, .. } = self;
        let receiving = async {
            while let Some(message) = decoder.next().await {
                let message = message.map_err(flight_trouble)?;
                if let DecodedPayload::RecordBatch(batch) = message.payload {
                    return Ok(Some(batch));
                }
            }
            Ok(None)
        };
        connect::work(&open.link, attempt.deadline, receiving).await.map_err(Trouble::Silent)?
    }

    /// Sends the statement again where that may be done, or says what its end means.
    async fn recover(
        &mut self,
        trouble: Trouble,
        schema: &SchemaRef,
        kind: StatementKind,
    ) -> Result<AnswerHead, ClientError> {
        let reads = self.attempt.has_read(kind);
        match trouble {
            Trouble::Broker(detail) => {
                self.attempt.failed(detail.code());
                return Err(ClientError::Broker(detail));
            }
            Trouble::Undecodable(text) if reads => return Err(ClientError::Decode(text)),
            Trouble::Silent(silence) if reads => return Err(self.attempt.silent(silence)),
            Trouble::Silent(silence) => return Err(self.attempt.silent_unknown(silence)),
            Trouble::Undecodable(_) => return Err(self.attempt.outcome_unknown()),
            Trouble::NotSent | Trouble::Lost => self.attempt.lost(&self.open, reads, self.unseen)?,
        }
        let Begun { decoder, schema: now, head, open } = self.attempt.run().await?;
        (self.decoder, self.open) = (decoder, open);
        // The caller has seen the columns.
        if now == *schema { Ok(head) } else { Err(self.attempt.answer_lost()) }
    }
}
