// Many single-row inserts as one statement: their constants in a collection that the statement reads.
//
// Each constant becomes the value that DuckDB's own binder makes of the literal, cast to its column's type as an INSERT
// casts it; a value that does not fit fails the whole, and nothing has happened. Neither parsing nor planning grows with
// the rows.

#include "duckdb/main/capi_v2/capi_v2_internal.hpp"

#include "duckdb/catalog/catalog_entry/table_catalog_entry.hpp"
#include "duckdb/common/types/column/column_data_collection.hpp"
#include "duckdb/parser/constraints/foreign_key_constraint.hpp"
#include "duckdb/parser/expression/star_expression.hpp"
#include "duckdb/parser/literal.hpp"
#include "duckdb/parser/parsed_expression.hpp"
#include "duckdb/parser/query_node/insert_query_node.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/statement/insert_statement.hpp"
#include "duckdb/parser/tableref/column_data_ref.hpp"
#include "duckdb/planner/binder.hpp"

using namespace duckdb;
using namespace duckdb::capiv2;

namespace {

constexpr const char *ROWS = "dbmux_rows";

//! Whether one statement with many rows does to this table what many statements with one row each would do: there is no
//! trigger that would see the difference, and no key that rows of the same statement could satisfy for each other.
bool TakesMany(ClientContext &context, TableCatalogEntry &table) {
	if (!table.IsDuckTable()) {
		return false;
	}
	for (auto &constraint : table.GetConstraints()) {
		if (constraint->type == ConstraintType::FOREIGN_KEY &&
		    constraint->Cast<ForeignKeyConstraint>().info.IsAppendConstraint()) {
			return false;
		}
	}
	auto takes = true;
	table.ScanTriggers(table.ParentCatalog().GetCatalogTransaction(context), [&](CatalogEntry &) { takes = false; });
	return takes;
}

//! The types of the columns that are inserted into, in order; none where the statement would not bind.
duckdb::vector<LogicalType> ColumnTypes(TableCatalogEntry &table, const duckdb::vector<Identifier> &columns) {
	duckdb::vector<LogicalType> types;
	if (columns.empty()) {
		for (auto &column : table.GetColumns().Physical()) {
			types.push_back(table.GetExpectedTypeForInsert(column));
		}
		return types;
	}
	for (auto &name : columns) {
		if (!table.ColumnExists(name)) {
			return {};
		}
		auto &column = table.GetColumn(name);
		if (column.Generated()) {
			return {};
		}
		types.push_back(table.GetExpectedTypeForInsert(column));
	}
	return types;
}

//! As insert.rs counts them.
enum class CellKind : uint8_t { NULL_VALUE, BOOLEAN, NUMBER, STRING, VALUE };

} // namespace

extern "C" {

//! One value of one row: a literal's text, or a parameter's value.
struct dbmux_cell {
	CellKind kind;
	const char *text;
	size_t length;
	duckdb_v2_value_handle value;
};

//! Runs `statement` (`INSERT INTO table [(columns)] FROM dbmux_rows`) with these rows. `out_done` is false where the
//! table would notice the difference, and nothing has happened then, as after an error.
DUCKDB_V2_ERROR dbmux_insert_rows(duckdb_v2_connection_handle conn, duckdb_v2_sql_statement_handle statement,
                                  const duckdb_v2_str *table_name, const dbmux_cell *cells, size_t rows, size_t width,
                                  bool *out_done, duckdb_v2_error_info_handle *err) {
	*out_done = false;
	return WithErrorHandler(err, [&]() {
		auto &context = *Convert(conn)->context;
		auto copy = Convert(statement)->Copy();
		auto &insert = *copy->Cast<InsertStatement>().node;

		duckdb::vector<LogicalType> types;
		auto takes = false;
		context.RunFunctionInTransaction([&]() {
			auto name = QualifiedName::Parse(string(Convert(table_name)));
			Binder::BindSchemaOrCatalog(context, name);
			auto table = Catalog::GetEntry<TableCatalogEntry>(context, name, OnEntryNotFound::RETURN_NULL);
			takes = table && TakesMany(context, *table);
			if (takes) {
				types = ColumnTypes(*table, insert.columns);
			}
		});
		if (!takes || types.size() != width || rows > STANDARD_VECTOR_SIZE) {
			return;
		}

		ColumnDataCollection collection(Allocator::Get(context), types);
		DataChunk chunk;
		chunk.Initialize(Allocator::Get(context), types, MaxValue<idx_t>(rows, 1));
		context.RunFunctionInTransaction([&]() {
			for (idx_t row = 0; row < rows; row++) {
				for (idx_t column = 0; column < width; column++) {
					auto &cell = cells[row * width + column];
					auto text = [&]() {
						return string(cell.text, cell.length);
					};
					Value value;
					switch (cell.kind) {
					case CellKind::NULL_VALUE:
						break;
					case CellKind::BOOLEAN:
						value = Value::BOOLEAN(cell.length == 4);
						break;
					case CellKind::NUMBER:
						value = Literal::Number(text()).ToValue();
						break;
					case CellKind::STRING:
						value = Value(text());
						break;
					case CellKind::VALUE:
						value = *Convert(cell.value);
						break;
					}
					chunk.SetValue(column, row, value.CastAs(context, types[column]));
				}
			}
		});
		chunk.SetCardinality(rows);
		collection.Append(chunk);

		auto ref = make_uniq<ColumnDataRef>(collection, duckdb::vector<Identifier>());
		ref->alias = Identifier(ROWS);
		auto select = make_uniq<SelectNode>();
		select->select_list.push_back(make_uniq<StarExpression>());
		select->from_table = std::move(ref);
		auto rows_info = make_uniq<CommonTableExpressionInfo>();
		rows_info->query_node = std::move(select);
		rows_info->materialized = CTEMaterialize::CTE_MATERIALIZE_NEVER;
		insert.cte_map.map.insert(Identifier(ROWS), std::move(rows_info));

		auto result = context.Query(std::move(copy), QueryParameters());
		if (result->HasError()) {
			result->ThrowIfError();
		}
		*out_done = true;
	});
}

} // extern "C"
