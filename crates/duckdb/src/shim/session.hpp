// What we keep with a client's context.

#pragma once

#include "duckdb/main/capi_v2/capi_v2_internal.hpp"

#include "duckdb/main/client_context_state.hpp"

namespace dbmux {

//! Present in the contexts of clients, and in no other.
struct SessionState : public duckdb::ClientContextState {
	static constexpr const char *KEY = "dbmux_session";
	//! Where the client is; empty: it did not tell.
	duckdb::string directory;
};

} // namespace dbmux
