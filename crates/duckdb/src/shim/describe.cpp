// What a parsed statement says of files, databases and settings: what may have to be refused before it is bound.

#include "session.hpp"

#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/expression/constant_expression.hpp"
#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/literal.hpp"
#include "duckdb/parser/parsed_data/alter_database_info.hpp"
#include "duckdb/parser/parsed_data/attach_info.hpp"
#include "duckdb/parser/parsed_data/copy_info.hpp"
#include "duckdb/parser/parsed_data/create_info.hpp"
#include "duckdb/parser/parsed_data/detach_info.hpp"
#include "duckdb/parser/parsed_data/load_info.hpp"
#include "duckdb/parser/parsed_data/pragma_info.hpp"
#include "duckdb/parser/parsed_data/transaction_info.hpp"
#include "duckdb/parser/statement/list.hpp"
#include "duckdb/parser/statement/multi_statement.hpp"
#include "duckdb/planner/statement_preprocessor.hpp"

using namespace duckdb;
using namespace duckdb::capiv2;

namespace {

//! Writes records: fields behind unit separators, a record separator behind each. ffi/shim.rs takes them apart.
class Facts {
public:
	string text;

	template <class... FIELDS>
	void Add(const FIELDS &... fields) {
		(Field(fields), ...);
		text += '\x1e';
	}

	void Describe(const SQLStatement &statement) {
		Add("statement", std::to_string(static_cast<uint8_t>(statement.type)));
		switch (statement.type) {
		case StatementType::ATTACH_STATEMENT:
			return Attach(*statement.Cast<AttachStatement>().info);
		case StatementType::DETACH_STATEMENT:
			return Add("detach", statement.Cast<DetachStatement>().info->name);
		case StatementType::SET_STATEMENT:
			return Set(statement.Cast<SetStatement>());
		case StatementType::PRAGMA_STATEMENT:
			return Pragma(*statement.Cast<PragmaStatement>().info);
		case StatementType::CALL_STATEMENT:
			return Call(*statement.Cast<CallStatement>().function);
		case StatementType::LOAD_STATEMENT:
			return Load(*statement.Cast<LoadStatement>().info);
		case StatementType::TRANSACTION_STATEMENT:
			return Add("transaction", std::to_string(static_cast<uint8_t>(
			                              statement.Cast<TransactionStatement>().info->type)));
		case StatementType::CREATE_STATEMENT: {
			auto &info = *statement.Cast<CreateStatement>().info;
			return Add("create", std::to_string(static_cast<uint8_t>(info.type)), info.temporary || info.GetQualifiedName().Catalog() == TEMP_CATALOG ? "1" : "0");
		}
		case StatementType::ALTER_STATEMENT:
			return Alter(*statement.Cast<AlterStatement>().info);
		case StatementType::EXPLAIN_STATEMENT: {
			auto &explain = statement.Cast<ExplainStatement>();
			Add("explain", explain.explain_type == ExplainType::EXPLAIN_ANALYZE ? "1" : "0");
			return Describe(*explain.stmt);
		}
		case StatementType::PREPARE_STATEMENT:
			return Describe(*statement.Cast<PrepareStatement>().statement);
		case StatementType::MULTI_STATEMENT:
			for (auto &part : statement.Cast<MultiStatement>().statements) {
				Describe(*part);
			}
			return;
		default:
			return;
		}
	}

private:
	void Field(const string &value) {
		text += value;
		text += '\x1f';
	}
	void Field(const char *value) {
		Field(string(value));
	}
	void Field(const Identifier &value) {
		Field(value.GetIdentifierName());
	}

	//! The text of a literal or a bare word; anything else is not known before it runs: false.
	static bool Known(const ParsedExpression &expression, string &out) {
		if (expression.GetExpressionClass() == ExpressionClass::CONSTANT) {
			out = expression.Cast<ConstantExpression>().GetLiteral().text;
			return true;
		}
		if (expression.GetExpressionClass() == ExpressionClass::COLUMN_REF) {
			out = expression.ToString();
			return true;
		}
		return false;
	}
	//! A known text as "1" and the text, else "0" and the expression.
	template <class... FIELDS>
	void AddWith(const ParsedExpression &expression, const FIELDS &... fields) {
		string known;
		if (Known(expression, known)) {
			Add(fields..., "1", known);
		} else {
			Add(fields..., "0", expression.ToString());
		}
	}

	void Attach(const AttachInfo &info) {
		if (info.external_resource) {
			return Add("external");
		}
		auto conflict = std::to_string(static_cast<uint8_t>(info.on_conflict));
		if (info.parsed_path) {
			AddWith(*info.parsed_path, "attach", info.name, conflict);
		} else {
			Add("attach", info.name, conflict, "1", info.path);
		}
		for (auto &option : info.options) {
			Add("attach_option", option.first, "1", option.second.IsNull() ? string() : option.second.ToString());
		}
		for (auto &option : info.parsed_options) {
			if (option.second) {
				AddWith(*option.second, "attach_option", option.first);
			} else {
				Add("attach_option", option.first, "1", "true");
			}
		}
	}
	void Set(const SetStatement &set) {
		auto scope = std::to_string(static_cast<uint8_t>(set.scope));
		if (set.set_type == SetType::RESET) {
			return Add("reset", set.name, scope);
		}
		AddWith(*static_cast<const SetVariableStatement &>(set).value, "set", set.name, scope);
	}
	void Pragma(const PragmaInfo &info) {
		if (info.parameters.empty()) {
			return Add("pragma", info.name);
		}
		AddWith(*info.parameters[0], "pragma", info.name);
	}
	void Call(const ParsedExpression &function) {
		if (function.GetExpressionClass() == ExpressionClass::FUNCTION) {
			Add("call", function.Cast<FunctionExpression>().GetQualifiedName().Name());
		}
	}
	void Load(const LoadInfo &info) {
		Add("load", std::to_string(static_cast<uint8_t>(info.load_type)), info.filename);
	}
	void Alter(const AlterInfo &info) {
		if (info.type == AlterType::ALTER_DATABASE) {
			Add("alter_database", info.GetQualifiedName().Catalog());
		}
	}
};

} // namespace

extern "C" {

using dbmux_text_sink = void (*)(const char *text, size_t length, void *user);

//! Describes a statement, and every statement that it expands into.
DUCKDB_V2_ERROR dbmux_statement_describe(duckdb_v2_connection_handle conn, duckdb_v2_sql_statement_handle statement,
                                         dbmux_text_sink sink, void *user, duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		Facts facts;
		auto &written = *Convert(statement);
		facts.Describe(written);
		auto type = written.type;
		if (type == StatementType::PRAGMA_STATEMENT || type == StatementType::MULTI_STATEMENT) {
			// `IMPORT DATABASE` and its like are written out as the statements that they run.
			auto &context = *Convert(conn)->context;
			context.RunFunctionInTransaction(
			    [&]() {
				    for (auto &part : StatementPreprocessor(context).ExpandStatement(written.Copy()).statements) {
					    if (part->type != type) {
						    facts.Describe(*part);
					    }
				    }
			    },
			    false);
		}
		sink(facts.text.data(), facts.text.size(), user);
	});
}

} // extern "C"
