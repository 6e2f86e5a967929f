// How DuckDB's own types look in Arrow.
//
// DuckDB offers two ways: one that loses (TIMETZ its zone, UHUGEINT its upper half, BIT its length), and one that turns
// every BOOLEAN into a byte and every sum into sixteen. Neither is for clients that know Arrow and not DuckDB. So types
// that Arrow lacks travel as their text, marked as `arrow.opaque` with DuckDB's name for them: whoever does not know the
// mark sees the text, nothing is lost, and it is taken back as what it was. The table is in `lib.rs`.

#include "duckdb/main/capi_v2/capi_v2_internal.hpp"

#include "duckdb/common/arrow/arrow_type_extension.hpp"
#include "duckdb/common/arrow/schema_metadata.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "duckdb/function/table/arrow/arrow_duck_schema.hpp"
#include "duckdb/common/arrow/arrow_converter.hpp"
#include "duckdb/main/config.hpp"

using namespace duckdb;
using namespace duckdb::capiv2;

namespace {

constexpr const char *VENDOR = "DuckDB";

void ToText(ClientContext &, const Vector &source, Vector &result, idx_t count) {
	Vector view(source.GetType());
	view.Reference(source);
	VectorOperations::DefaultCast(view, result, count);
}

void FromText(ClientContext &, Vector &source, Vector &result, idx_t count) {
	VectorOperations::DefaultCast(source, result, count);
}

void PopulateText(DuckDBArrowSchemaHolder &root_holder, ArrowSchema &schema, const LogicalType &, ClientContext &context,
                  const ArrowTypeExtension &extension) {
	auto info = extension.GetInfo();
	auto metadata = ArrowSchemaMetadata::NonCanonicalType(info.GetTypeName(), info.GetVendorName());
	root_holder.metadata_info.emplace_back(metadata.SerializeMetadata());
	schema.metadata = root_holder.metadata_info.back().get();
	schema.format = context.GetClientProperties().arrow_offset_size == ArrowOffsetSize::LARGE ? "U" : "u";
}

//! The type that a marked text is taken back as.
template <LogicalTypeId ID>
duckdb::unique_ptr<ArrowType> TakeText(ClientContext &, const ArrowSchema &schema, const ArrowSchemaMetadata &) {
	string format(schema.format);
	ArrowVariableSizeType size;
	if (format == "u") {
		size = ArrowVariableSizeType::NORMAL;
	} else if (format == "U") {
		size = ArrowVariableSizeType::SUPER_SIZE;
	} else if (format == "vu") {
		size = ArrowVariableSizeType::VIEW;
	} else {
		throw InvalidInputException("Arrow format \"%s\" is not a text, which this type travels as", format);
	}
	LogicalType type(ID);
	auto result = make_uniq<ArrowType>(type, make_uniq<ArrowStringInfo>(size));
	result->extension_data =
	    duckdb::make_shared_ptr<ArrowTypeExtensionData>(type, LogicalType::VARCHAR, FromText, ToText);
	return result;
}

void PopulateBoolean(DuckDBArrowSchemaHolder &, ArrowSchema &schema, const LogicalType &, ClientContext &,
                     const ArrowTypeExtension &) {
	schema.format = "b";
}

void PopulateHugeint(DuckDBArrowSchemaHolder &, ArrowSchema &schema, const LogicalType &, ClientContext &,
                     const ArrowTypeExtension &) {
	// Its 128 bits are a decimal's; a value of 39 digits is one digit more than the type says, and is kept.
	schema.format = "d:38,0";
}

duckdb::unique_ptr<ArrowType> TakeNothing(ClientContext &, const ArrowSchema &, const ArrowSchemaMetadata &) {
	throw InvalidInputException("this type has no mark of its own in Arrow");
}

//! DuckDB lets extensions be added, and takes the first one; ours are to be the first. The member is private, and an
//! explicit instantiation may name it all the same.
struct Extensions {
	using Type = duckdb::unique_ptr<ArrowTypeExtensionSet> DBConfig::*;
	friend Type MemberOf(Extensions);
};
template <Extensions::Type MEMBER>
struct Reach {
	friend Extensions::Type MemberOf(Extensions) {
		return MEMBER;
	}
};
template struct Reach<&DBConfig::arrow_extensions>;

//! Makes an extension the one that a type is exported by.
void Replace(ArrowTypeExtensionSet &set, const LogicalType &type, const ArrowTypeExtension &extension) {
	auto info = extension.GetInfo();
	set.type_extensions[info] = extension;
	set.type_to_info[TypeInfo(type)] = {info};
}

template <LogicalTypeId ID>
void ReplaceByText(ArrowTypeExtensionSet &set, const char *name) {
	LogicalType type(ID);
	auto data = duckdb::make_shared_ptr<ArrowTypeExtensionData>(type, LogicalType::VARCHAR, FromText, ToText);
	Replace(set, type, ArrowTypeExtension(VENDOR, name, PopulateText, TakeText<ID>, data, FromText, ToText));
}

} // namespace

extern "C" {

//! Sets up how the instance's types cross.
DUCKDB_V2_ERROR dbmux_instance_arrow_types(duckdb_v2_instance_handle instance, duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		auto &config = DBConfig::GetConfig(*Convert(instance)->GetDatabase().instance);
		auto &set = *(config.*MemberOf(Extensions()));
		lock_guard<mutex> guard(set.lock);
		ReplaceByText<LogicalTypeId::UUID>(set, "uuid");
		ReplaceByText<LogicalTypeId::UHUGEINT>(set, "uhugeint");
		ReplaceByText<LogicalTypeId::TIME_TZ>(set, "time_tz");
		ReplaceByText<LogicalTypeId::BIT>(set, "bit");
		ReplaceByText<LogicalTypeId::BIGNUM>(set, "bignum");
		Replace(set, LogicalType::BOOLEAN,
		        ArrowTypeExtension(VENDOR, "boolean", PopulateBoolean, TakeNothing,
		                           duckdb::make_shared_ptr<ArrowTypeExtensionData>(LogicalType::BOOLEAN), nullptr,
		                           nullptr));
		Replace(set, LogicalType::HUGEINT,
		        ArrowTypeExtension(VENDOR, "decimal_hugeint", PopulateHugeint, TakeNothing,
		                           duckdb::make_shared_ptr<ArrowTypeExtensionData>(LogicalType::HUGEINT), nullptr,
		                           nullptr));
	});
}

} // extern "C"
