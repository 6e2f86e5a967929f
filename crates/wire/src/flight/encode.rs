//! An answer on its way out, as Flight messages: the schema first, with what is known of the answer, then its batches.
//!
//! Batches are cut so that a message stays under [`LARGEST`], which every client takes. Dictionaries stay dictionaries
//! (an ENUM keeps its type and values), and are sent again only when they change.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use arrow::{
    array::{Array, RecordBatch},
    datatypes::{Schema, SchemaRef},
    error::ArrowError,
    ipc::writer::{DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteContext, IpcWriteOptions},
};
use arrow_flight::FlightData;
use bytes::Bytes;
use dbmux_engine::{Answer, BatchStream, ResultShape, StatementKind};
use dbmux_proto::AnswerHead;
use futures::{Stream, StreamExt, stream::BoxStream};
use prost::Message;
use tonic::Status;

use crate::status::{internal, status};

/// The largest message, in bytes, apart from a single row that is larger. Clients take 4 MiB unless told otherwise.
const LARGEST: usize = 2 << 20;

/// In the schema's metadata of an answer from a snapshot: RFC 3339.
const AS_OF: &str = "dbmux.as_of";

/// Messages of one answer.
pub(crate) type FlightStream = BoxStream<'static, Result<FlightData, Status>>;

/// The messages of an answer.
pub(crate) fn answer(answer: Answer) -> Result<FlightStream, Status> {
    let head = head(&answer).encode_to_vec();
    let schema = match &answer.as_of {
        Some(as_of) => labelled(&answer.schema, as_of),
        None => answer.schema,
    };
    Ok(Encoder::new(schema, head.into(), answer.batches)?.boxed())
}

/// Says for every client that a snapshot answered, and as of when it is true.
fn labelled(schema: &Schema, as_of: &str) -> SchemaRef {
    let mut metadata = schema.metadata().clone();
    metadata.insert(AS_OF.to_owned(), as_of.to_owned());
    Arc::new(schema.clone().with_metadata(metadata))
}

/// The messages of a batch that is known already.
pub(crate) fn batch(batch: RecordBatch) -> Result<FlightStream, Status> {
    let schema = batch.schema();
    let batches = futures::stream::once(async move { Ok(batch) });
    Ok(Encoder::new(schema, Bytes::new(), Box::pin(batches))?.boxed())
}

/// A schema as it stands in `FlightInfo` and in actions' results: one encapsulated IPC message.
pub(crate) fn schema_bytes(schema: &Schema) -> Result<Bytes, Status> {
    let options = IpcWriteOptions::default();
    let message = arrow_flight::IpcMessage::try_from(arrow_flight::SchemaAsIpc::new(schema, &options));
    message.map(|message| message.0).map_err(|error| internal(error.to_string()))
}

fn head(answer: &Answer) -> AnswerHead {
    let kind = match answer.kind {
        StatementKind::Read => dbmux_proto::StatementKind::Read,
        StatementKind::Write => dbmux_proto::StatementKind::Write,
        StatementKind::Exclusive => dbmux_proto::StatementKind::Exclusive,
    };
    AnswerHead {
        kind: kind.into(),
        rows_changed: answer.shape == ResultShape::RowsChanged,
        as_of: answer.as_of.clone().unwrap_or_default(),
        notices: answer.notices.clone(),
    }
}

/// Turns batches into messages as they are asked for.
struct Encoder {
    batches: BatchStream,
    schema: SchemaRef,
    waiting: VecDeque<FlightData>,
    generator: IpcDataGenerator,
    dictionaries: DictionaryTracker,
    options: IpcWriteOptions,
    context: IpcWriteContext,
    over: bool,
}

impl Encoder {
    fn new(schema: SchemaRef, head: Bytes, batches: BatchStream) -> Result<Self, Status> {
        let generator = IpcDataGenerator::default();
        let mut dictionaries = DictionaryTracker::new(false);
        let options = IpcWriteOptions::default();
        let first = generator.schema_to_bytes_with_dictionary_tracker(&schema, &mut dictionaries, &options);
        let first = FlightData { app_metadata: head, ..message(first) };
        Ok(Self {
            batches,
            schema,
            waiting: VecDeque::from([first]),
            generator,
            dictionaries,
            options,
            context: IpcWriteContext::default(),
            over: false,
        })
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        // Sent on, these would be read as something else.
        let types = |schema: &Schema| schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
        if batch.schema_ref() != &self.schema && types(batch.schema_ref()) != types(&self.schema) {
            return Err(ArrowError::SchemaError("a batch has other columns than its answer announced".to_owned()));
        }
        let rows = batch.num_rows();
        let pieces = size(batch)?.div_ceil(LARGEST).max(1);
        let step = rows.div_ceil(pieces).max(1);
        for offset in (0..rows).step_by(step) {
            let piece = batch.slice(offset, step.min(rows - offset));
            let Self { generator, dictionaries, options, context, waiting, .. } = self;
            let (changed, piece) = generator.encode(&piece, dictionaries, options, context)?;
            waiting.extend(changed.into_iter().chain([piece]).map(message));
        }
        Ok(())
    }
}

impl Stream for Encoder {
    type Item = Result<FlightData, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let me = self.get_mut();
        loop {
            if let Some(message) = me.waiting.pop_front() {
                return Poll::Ready(Some(Ok(message)));
            }
            if me.over {
                return Poll::Ready(None);
            }
            let failure = match ready!(me.batches.poll_next_unpin(cx)) {
                None => {
                    me.over = true;
                    continue;
                }
                Some(Ok(batch)) => match me.encode(&batch) {
                    Ok(()) => continue,
                    Err(error) => internal(format!("failed to encode a batch: {error}")),
                },
                Some(Err(error)) => status(error),
            };
            me.over = true;
            me.waiting.clear();
            return Poll::Ready(Some(Err(failure)));
        }
    }
}

fn message(encoded: EncodedData) -> FlightData {
    FlightData {
        data_header: encoded.ipc_message.into(),
        data_body: encoded.arrow_data.into(),
        ..FlightData::default()
    }
}

/// What a batch takes on the wire, about, in bytes: of shared buffers, its own part.
fn size(batch: &RecordBatch) -> Result<usize, ArrowError> {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size()).sum()
}
