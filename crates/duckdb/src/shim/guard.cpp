// The local file system as each client's statements see it.
//
// DuckDB asks its file system for everything it opens, and says for whom: that is the place where relative paths can
// mean the client's own, and where the attached database, its logs and its sidecar are out of a statement's reach
// whatever the statement calls them. Which files these are is decided in ffi/guard.rs.

#include "session.hpp"

#include "duckdb/common/file_opener.hpp"
#include "duckdb/common/local_file_system.hpp"
#include "duckdb/common/memory_mapped_file.hpp"
#include "duckdb/common/multi_file/multi_file_list.hpp"

using namespace duckdb;
using namespace duckdb::capiv2;

extern "C" {
//! What may be done with a path: decided in guard.rs, which knows the protected files.
uint8_t dbmux_guard_decide(const char *path, size_t length, bool client, uint8_t operation);
//! Lets this thread through the wall of system calls, between the two.
void dbmux_door_open();
void dbmux_door_close();
//! Whether this thread attaches a database on the broker's behalf.
bool dbmux_is_attaching();
}

namespace {

//! As in guard.rs.
enum class Operation : uint8_t { OPEN, WRITE, REMOVE, REMOVE_TREE };
enum class Verdict : uint8_t {
	FREE,
	OURS,
	DATABASE,
	LOG,
	SIDECAR,
	STREAM,
	THEIR_DATABASE,
	THEIR_LOG,
	THEIR_SIDECAR,
	SCRATCH,
	RUNTIME
};

[[noreturn]] void Refuse(const string &what, const string &why) {
	// The text is taken apart in errors.rs.
	throw PermissionException("[dbmux refuses] %s :: %s", what, why);
}

//! The local file system as each client sees it: relative paths start where the client is, and the attached database,
//! its log and its sidecar are out of reach, whatever name they are called by; other databases' are not written to.
class GuardedFileSystem : public LocalFileSystem {
public:
	bool CanHandleFile(const string &path) override {
		return path.find("://") == string::npos || StringUtil::StartsWith(path, "file:");
	}
	bool IsManuallySet() override {
		return true;
	}

	unique_ptr<FileHandle> OpenFile(const string &path, FileOpenFlags flags,
	                                optional_ptr<FileOpener> opener) override {
		auto resolved = Resolve(path, opener);
		Door door(*this, resolved, opener, Opening(flags));
		RefuseDatabase(resolved, flags, opener);
		return LocalFileSystem::OpenFile(resolved, flags, opener);
	}
	unique_ptr<MemoryMappedFile> MemoryMapFile(const OpenFileInfo &file, FileOpenFlags flags,
	                                           const MMapOptions &options, optional_ptr<FileOpener> opener) override {
		OpenFileInfo resolved(Resolve(file.path, opener));
		Door door(*this, resolved.path, opener, Opening(flags));
		RefuseDatabase(resolved.path, flags, opener);
		return LocalFileSystem::MemoryMapFile(resolved, flags, options, opener);
	}
	void MoveFile(const string &source, const string &target, optional_ptr<FileOpener> opener) override {
		auto from = Resolve(source, opener);
		auto to = Resolve(target, opener);
		Door from_door(*this, from, opener, Operation::REMOVE);
		Door to_door(*this, to, opener, Operation::WRITE);
		LocalFileSystem::MoveFile(from, to, opener);
	}
	void RemoveFile(const string &path, optional_ptr<FileOpener> opener) override {
		auto resolved = Resolve(path, opener);
		Door door(*this, resolved, opener, Operation::REMOVE);
		LocalFileSystem::RemoveFile(resolved, opener);
	}
	void RemoveFiles(const vector<string> &paths, optional_ptr<FileOpener> opener) override {
		// All or nothing: one that is refused must not come after others that are gone.
		for (auto &path : paths) {
			Door door(*this, Resolve(path, opener), opener, Operation::REMOVE);
		}
		LocalFileSystem::RemoveFiles(paths, opener);
	}
	bool RemoveDirectoryExtended(const string &path, const RemoveDirectoryOptions &options,
	                             optional_ptr<FileOpener> opener) override {
		auto resolved = Resolve(path, opener);
		Door door(*this, resolved, opener, Operation::REMOVE_TREE);
		return LocalFileSystem::RemoveDirectoryExtended(resolved, options, opener);
	}
	optional<FileMetadata> GetStatsIfExists(const OpenFileInfo &file, optional_ptr<FileOpener> opener) override {
		return LocalFileSystem::GetStatsIfExists(OpenFileInfo(Resolve(file.path, opener)), opener);
	}
	bool DirectoryExists(const string &path, optional_ptr<FileOpener> opener) override {
		return LocalFileSystem::DirectoryExists(Resolve(path, opener), opener);
	}
	bool CreateDirectoryExtended(const string &path, const CreateDirectoryOptions &options,
	                             optional_ptr<FileOpener> opener) override {
		auto resolved = Resolve(path, opener);
		if (FileOpener::TryGetClientContext(opener)) {
			Door door(*this, resolved, opener, Operation::WRITE);
		} else {
			// DuckDB makes its folder for spilled data when it first needs it; ours lies one level deeper than its own.
			auto parent = resolved.substr(0, resolved.find_last_of('/'));
			if (!parent.empty() && !LocalFileSystem::DirectoryExists(parent, opener)) {
				LocalFileSystem::CreateDirectoryExtended(parent, {CreateDirectoryMode::SINGLE}, opener);
			}
		}
		return LocalFileSystem::CreateDirectoryExtended(resolved, options, opener);
	}
	bool FileExists(const string &path, optional_ptr<FileOpener> opener) override {
		return LocalFileSystem::FileExists(Resolve(path, opener), opener);
	}
	bool IsPipe(const string &path, optional_ptr<FileOpener> opener) override {
		return LocalFileSystem::IsPipe(Resolve(path, opener), opener);
	}
	string CanonicalizePath(const string &path, optional_ptr<FileOpener> opener) override {
		return LocalFileSystem::CanonicalizePath(Resolve(path, opener), opener);
	}

protected:
	bool ListFilesExtended(const string &path, const std::function<void(OpenFileInfo &info)> &callback,
	                       optional_ptr<FileOpener> opener) override {
		return LocalFileSystem::ListFilesExtended(Resolve(path, opener), callback, opener);
	}
	unique_ptr<MultiFileList> GlobFilesExtended(const string &path, const FileGlobInput &input,
	                                            optional_ptr<FileOpener> opener) override {
		// Absolute names come back: what is cached by name must not be another client's file of the same relative one.
		return LocalFileSystem::GlobFilesExtended(Resolve(path, opener), input, opener);
	}

private:
	static shared_ptr<dbmux::SessionState> Session(optional_ptr<FileOpener> opener) {
		auto context = FileOpener::TryGetClientContext(opener);
		return context ? context->registered_state->Get<dbmux::SessionState>(dbmux::SessionState::KEY) : nullptr;
	}

	//! Where a path leads for whoever uses it.
	string Resolve(const string &path, optional_ptr<FileOpener> opener) {
		auto session = Session(opener);
		auto expanded = FileSystem::ExpandPath(path, opener);
		if (!session || expanded.empty() || expanded[0] == '/') {
			return expanded;
		}
		if (session->directory.empty()) {
			Refuse("the relative path \"" + path + "\"",
			       "the client did not tell its working directory: give an absolute path");
		}
		return session->directory + "/" + expanded;
	}

	static Operation Opening(FileOpenFlags flags) {
		auto writes = flags.OpenForWriting() || flags.OpenForAppending() || flags.CreateFileIfNotExists() ||
		              flags.OverwriteExistingFile();
		return writes ? Operation::WRITE : Operation::OPEN;
	}

	//! Only databases are locked and read: a statement that does so would make this process the opener of one more.
	static void RefuseDatabase(const string &path, FileOpenFlags flags, optional_ptr<FileOpener> opener) {
		if (flags.Lock() != FileLockType::NO_LOCK && flags.OpenForReading() && FileOpener::TryGetClientContext(opener) &&
		    !dbmux_is_attaching()) {
			Refuse("opening the database " + path, "attach it: ATTACH '" + path + "' (READ_ONLY)");
		}
	}

	//! Passes what is free, opens the door to the database's own files for DuckDB itself, and refuses the rest.
	struct Door {
		Door(GuardedFileSystem &fs, const string &path, optional_ptr<FileOpener> opener, Operation operation) {
			auto client = FileOpener::TryGetClientContext(opener) != nullptr;
			auto verdict = static_cast<Verdict>(
			    dbmux_guard_decide(path.data(), path.size(), client, static_cast<uint8_t>(operation)));
			if (verdict == Verdict::FREE) {
				return;
			}
			if (verdict != Verdict::OURS) {
				Explain(path, verdict);
			}
			dbmux_door_open();
			open = true;
		}
		~Door() {
			if (open) {
				dbmux_door_close();
			}
		}
		[[noreturn]] static void Explain(const string &path, Verdict verdict) {
			auto what = (verdict < Verdict::THEIR_DATABASE ? "access to " : "writing to ") + path;
			switch (verdict) {
			case Verdict::DATABASE:
				Refuse(what, "it is the attached database: use its tables");
			case Verdict::LOG:
				Refuse(what, "it is the write-ahead log of the attached database");
			case Verdict::SIDECAR:
				Refuse(what, "it is the sidecar of the attached database");
			case Verdict::THEIR_DATABASE:
				Refuse(what, "it is a database that dbmux keeps, or that is in use: write to another name; to have this one "
				             "replaced, end its broker (dbmux stop) and delete it and its .dbmux first");
			case Verdict::THEIR_LOG:
				Refuse(what, "it is the write-ahead log of a database that dbmux keeps: write to another name");
			case Verdict::THEIR_SIDECAR:
				Refuse(what, "names with .dbmux are those of dbmux's locks: write to another name");
			case Verdict::SCRATCH:
				Refuse(what, "it is where a database that dbmux keeps spills its data: write to another folder");
			case Verdict::RUNTIME:
				Refuse(what, "it is in dbmux's runtime directory: write to another folder");
			default:
				Refuse(what, "it would be a stream of the broker, not of the client: name a file");
			}
		}
		bool open = false;
	};
};

} // namespace

extern "C" {

//! Puts the guard before the instance's local files.
DUCKDB_V2_ERROR dbmux_instance_guard(duckdb_v2_instance_handle instance, duckdb_v2_error_info_handle *err) {
	return WithErrorHandler(err, [&]() {
		auto &database = Convert(instance)->GetDatabase();
		database.instance->GetFileSystem().RegisterSubSystem(make_uniq<GuardedFileSystem>());
	});
}

} // extern "C"
