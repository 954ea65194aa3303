#include "validate/record_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "spec/json.hpp"

namespace moeline {

RecordFile::RecordFile(std::string path, const Machine& machine) : path_(std::move(path)) {
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file_ < 0) fail(std::string("cannot be written: ") + std::strerror(errno));
  try {
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) fail("another run is writing it");
    read_lines(machine);
  } catch (...) {
    ::close(file_);
    throw;
  }
}

RecordFile::~RecordFile() { ::close(file_); }

void RecordFile::fail(const std::string& what) const { throw SpecError("--out " + path_, what); }

void RecordFile::read_lines(const Machine& machine) {
  const std::string text = read_file(path_);
  const std::size_t whole = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
  std::size_t line = 0;
  for (std::size_t begin = 0; begin < whole;) {
    const std::size_t end = text.find('\n', begin);
    const std::string where = path_ + ":" + std::to_string(++line);
    const Json json = parse_json(std::string_view(text).substr(begin, end - begin), where);
    begin = end + 1;
    if (json.is_object() && json.contains("machine")) continue;
    records_.push_back(read_record(json, where));
    if (records_.back().device != machine.device) {
      fail("holds records of " + records_.back().device + ", and this is " + machine.device + "; name another file");
    }
  }
  if (::ftruncate(file_, static_cast<off_t>(whole)) != 0) fail(std::string("cannot be cut: ") + std::strerror(errno));
  if (whole == 0 && !machine.profile.empty()) write_line(R"({"machine": )" + machine.profile + "}");
}

bool RecordFile::holds(const Case& wanted, std::size_t visits) const {
  std::size_t seen = 0;
  return std::ranges::any_of(records_, [&](const Record& record) {
    const auto same_size = [&](const auto& size) {
      const auto found = record.shape.find(size.first);
      return found != record.shape.end() && !(found->second < size.second) && !(size.second < found->second);
    };
    const bool same = record.op == wanted.op && record.backend == wanted.library && record.kind == wanted.kind &&
                      record.dtype == wanted.dtype && std::ranges::all_of(wanted.shape, same_size);
    return same && (++seen == visits || !record.failed.empty());
  });
}

void RecordFile::add(const Record& record) {
  write_line(record_text(record));
  records_.push_back(record);
}

void RecordFile::write_line(const std::string& line) {
  const std::string text = line + "\n";
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t written = ::write(file_, text.data() + at, text.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail(std::string("cannot be written: ") + std::strerror(errno));
    at += static_cast<std::size_t>(written);
  }
  if (::fdatasync(file_) != 0) fail(std::string("cannot be written: ") + std::strerror(errno));
}

}  // namespace moeline
