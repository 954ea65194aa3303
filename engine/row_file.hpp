// Where do the rows go, and how far did an earlier run come? Killed at any moment, the same command goes on.
//
//   FILE            the rows
//   FILE.progress   {"sweep": fingerprint, "points": done, "bytes": of FILE that hold them, "complete": false,
//                    "front": [rows that FILE will hold at the end]}
// The note is replaced as a whole (written beside, renamed) after its rows have reached the disk; what FILE holds
// beyond `bytes` is cut off and computed again. So no row is lost, halved or written twice. One run at a time: FILE is
// locked.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "plan/pareto.hpp"

namespace moeline {

struct FileProgress {
  std::uint64_t points = 0, bytes = 0;
  bool complete = false;
  std::vector<FrontRow> front;  // of a sweep that keeps a Pareto front and writes it at the end
};

class RowFile {
 public:
  // Opens or goes on with `path`. SpecError when it holds something else, another sweep, or is being written.
  RowFile(std::string path, std::string fingerprint);
  ~RowFile();
  RowFile(const RowFile&) = delete;
  RowFile& operator=(const RowFile&) = delete;

  const std::string& path() const { return path_; }
  const FileProgress& before() const { return before_; }
  void write(const std::string& text);
  bool note_is_due() const;                 // a few times a second; seldom enough to take a tenth of the time
  void note(const FileProgress& progress);  // `bytes` is filled in here

 private:
  void read_note();
  void open();
  [[noreturn]] void fail(const std::string& what) const;

  std::string path_, note_path_, fingerprint_, waiting_;
  FileProgress before_;
  std::uint64_t bytes_ = 0;
  std::chrono::steady_clock::time_point noted_;
  std::chrono::steady_clock::duration note_took_{};
  int file_ = -1;
};

}  // namespace moeline
