// Which cases are measured already? A file of records that is gone on with after a kill at any moment.
//
// One record a line, on the disk before the next case begins. What stands behind the last whole line is cut off. One
// run at a time: the file is locked. A machine without a carried profile writes its own in the first line.
#pragma once

#include <string>
#include <vector>

#include "fit/records.hpp"
#include "validate/backend.hpp"

namespace moeline {

class RecordFile {
 public:
  // Opens or goes on with `path`. SpecError when it holds something else or another machine's records, or is being
  // written.
  RecordFile(std::string path, const Machine& machine);
  ~RecordFile();
  RecordFile(const RecordFile&) = delete;
  RecordFile& operator=(const RecordFile&) = delete;

  // Whether it was measured so often, or cannot be. `wanted.library` names the implementation.
  bool holds(const Case& wanted, std::size_t visits = 1) const;
  void add(const Record& record);
  const std::vector<Record>& records() const { return records_; }

 private:
  void read_lines(const Machine& machine);
  void write_line(const std::string& line);
  [[noreturn]] void fail(const std::string& what) const;

  std::string path_;
  std::vector<Record> records_;
  int file_ = -1;
};

}  // namespace moeline
