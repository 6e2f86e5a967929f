// What a statement would do, from its plan: which databases it changes, and what it calls.

#include "session.hpp"

#include "duckdb/common/arrow/arrow_converter.hpp"
#include "duckdb/common/type_visitor.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"
#include "duckdb/planner/operator/logical_get.hpp"
#include "duckdb/planner/planner.hpp"
#include "duckdb/planner/statement_preprocessor.hpp"

#include <algorithm>

using namespace duckdb;
using namespace duckdb::capiv2;

namespace {

//! A type that only a parameter's value will tell is NULL in Arrow.
LogicalType TypeOrNull(const LogicalType &type) {
	auto open = [](const LogicalType &part) {
		return part.id() == LogicalTypeId::UNKNOWN || part.id() == LogicalTypeId::INVALID ||
		       part.id() == LogicalTypeId::ANY;
	};
	return TypeVisitor::Contains(type, open) ? LogicalType(LogicalTypeId::SQLNULL) : type;
}

//! Whether calling this function does something, beside answering. `currval` and its like only answer.
bool HasEffect(const string &name) {
	static const char *const EFFECTS[] = {"nextval", "setval", "setseed", "write_log"};
	return std::any_of(std::begin(EFFECTS), std::end(EFFECTS), [&](const char *effect) { return name == effect; });
}

//! Walks a plan, and collects what it calls.
class Calls : public LogicalOperatorVisitor {
public:
	//! Table functions and scalar functions with effects, each followed by a line feed.
	string names;

	void VisitOperator(LogicalOperator &op) override {
		if (op.type == LogicalOperatorType::LOGICAL_GET) {
			Add(op.Cast<LogicalGet>().function.GetName().GetIdentifierName());
		}
		EnumerateExpressions(op, [&](duckdb::unique_ptr<Expression> *expression) { Visit(**expression); });
		for (auto &child : op.children) {
			VisitOperator(*child);
		}
	}

private:
	void Visit(const Expression &expression) {
		if (expression.GetExpressionClass() == ExpressionClass::BOUND_FUNCTION) {
			auto &name = expression.Cast<BoundFunctionExpression>().Function().GetName().GetIdentifierName();
			if (HasEffect(name)) {
				Add(name);
			}
		}
		ExpressionIterator::EnumerateChildren(expression, [&](const Expression &child) { Visit(child); });
	}
	void Add(const string &name) {
		names += name;
		names += "\n";
	}
};

void ToArrow(ClientContext &context, ArrowSchema *out, const duckdb::vector<LogicalType> &types,
             const duckdb::vector<string> &names) {
	auto properties = context.GetClientProperties();
	duckdb::vector<LogicalType> known;
	for (auto &type : types) {
		known.push_back(TypeOrNull(type));
	}
	if (!known.empty()) {
		ArrowConverter::ToArrowSchema(out, known, names, properties);
	}
}

} // namespace

extern "C" {

//! A statement's signature, beside its two schemas and its calls.
struct dbmux_signature {
	//! StatementType, after PRAGMAs were written out.
	uint8_t type;
	//! StatementReturnType.
	uint8_t returns;
	//! It expands into several statements: its schema is known only when it runs.
	bool deferred;
	//! It changes a database: data, catalog or sequences.
	bool modifies;
};

using dbmux_text_sink = void (*)(const char *text, size_t length, void *user);

//! Binds a statement without running it. `calls` receives the names of what it calls, a line each.
DUCKDB_V2_ERROR dbmux_statement_signature(duckdb_v2_connection_handle conn, duckdb_v2_sql_statement_handle statement,
                                          ArrowSchema *columns, ArrowSchema *parameters, dbmux_signature *out,
                                          dbmux_text_sink calls, void *user, duckdb_v2_error_info_handle *err) {
	columns->release = nullptr;
	parameters->release = nullptr;
	auto &context = *Convert(conn)->context;
	auto &written = *Convert(statement);

	auto bind = [&]() {
		auto has_parameters = !written.named_param_map.empty();
		auto expanded = StatementPreprocessor(context).ExpandStatement(written.Copy());
		if (expanded.statements.size() != 1) {
			if (has_parameters) {
				throw InvalidInputException(ClientContext::EXPANDING_PARAMETERS_ERROR);
			}
			out->type = static_cast<uint8_t>(written.type);
			out->returns = static_cast<uint8_t>(StatementReturnType::QUERY_RESULT);
			out->deferred = true;
			return;
		}
		auto bound = std::move(expanded.statements[0]);
		out->type = static_cast<uint8_t>(bound->type);
		auto order = bound->named_param_map;

		Planner planner(context);
		planner.CreatePlan(std::move(bound));
		out->returns = static_cast<uint8_t>(planner.properties.return_type);
		out->modifies = !planner.properties.IsReadOnly();

		if (planner.plan) {
			Calls found;
			found.VisitOperator(*planner.plan);
			calls(found.names.data(), found.names.size(), user);
		}
		if (planner.properties.return_type == StatementReturnType::QUERY_RESULT) {
			ToArrow(context, columns, planner.types, IdentifiersToStrings(planner.names));
		}
		duckdb::vector<string> parameter_names(order.size());
		duckdb::vector<LogicalType> parameter_types(order.size(), LogicalType(LogicalTypeId::SQLNULL));
		duckdb::vector<std::pair<idx_t, Identifier>> sorted;
		for (auto &entry : order) {
			sorted.emplace_back(entry.second, entry.first);
		}
		std::sort(sorted.begin(), sorted.end(), [](const auto &a, const auto &b) { return a.first < b.first; });
		for (idx_t i = 0; i < sorted.size(); i++) {
			parameter_names[i] = sorted[i].second.GetIdentifierName();
			auto known = planner.value_map.find(sorted[i].second);
			if (known != planner.value_map.end()) {
				auto &data = *known->second;
				parameter_types[i] =
				    data.return_type.id() != LogicalTypeId::INVALID ? data.return_type : data.GetValue().type();
			}
		}
		ToArrow(context, parameters, parameter_types, parameter_names);
	};

	return WithErrorHandler(err, [&]() {
		ErrorData failed;
		// A statement that cannot be bound changed nothing, and leaves a transaction as it is. Unless that came upon two
		// databases of one name: DuckDB finds so only once, and would have it look at either from then on.
		context.RunFunctionInTransaction(
		    [&]() {
			    try {
				    bind();
			    } catch (const std::exception &ex) {
				    failed = ErrorData(ex);
				    auto both = failed.Type() == ExceptionType::TRANSACTION;
				    if (both || Exception::InvalidatesDatabase(failed.Type())) {
					    throw;
				    }
			    }
		    },
		    false);
		if (failed.HasError()) {
			// Says where in the text, as it does when the statement runs.
			context.ProcessError(failed, written.query);
			failed.Throw();
		}
	});
}

} // extern "C"
