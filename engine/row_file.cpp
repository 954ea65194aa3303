#include "engine/row_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "spec/json.hpp"
#include "spec/reader.hpp"

namespace moeline {
namespace {

constexpr std::chrono::milliseconds kBetweenNotes{250};
constexpr std::size_t kBuffer = 1 << 20;

std::string problem() { return std::strerror(errno); }

bool write_all(int file, const std::string& text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const ssize_t written = ::write(file, text.data() + at, text.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    at += static_cast<std::size_t>(written);
  }
  return true;
}

// -1: not there.
std::int64_t size_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<std::int64_t>(status.st_size) : -1;
}

}  // namespace

RowFile::RowFile(std::string path, std::string fingerprint)
    : path_(std::move(path)), note_path_(path_ + ".progress"), fingerprint_(std::move(fingerprint)) {
  try {
    open();
  } catch (...) {
    if (file_ >= 0) ::close(file_);
    throw;
  }
}

RowFile::~RowFile() {
  if (file_ >= 0) ::close(file_);
}

void RowFile::fail(const std::string& what) const { throw SpecError("--out " + path_, what); }

void RowFile::read_note() {
  const Json json = parse_json(read_file(note_path_), note_path_);
  if (!json.is_object() || json.value("sweep", Json()) != fingerprint_) {
    fail("holds the rows of another sweep; name another file, or remove it and " + note_path_);
  }
  ObjectReader reader(json, note_path_);
  reader.skip_all({"sweep", "front"});
  before_.points = static_cast<std::uint64_t>(reader.integer("points", {0, std::int64_t{1} << 53}));
  before_.bytes = static_cast<std::uint64_t>(reader.integer("bytes", {0, std::int64_t{1} << 62}));
  before_.complete = reader.boolean("complete");
  for (ObjectReader& row : reader.objects("front")) {
    FrontRow kept;
    kept.point = static_cast<std::uint64_t>(row.integer("point", {0, std::int64_t{1} << 53}));
    kept.x = row.any("x").get<double>();
    kept.y = row.any("y").get<double>();
    kept.text = row.string("text");
    before_.front.push_back(std::move(kept));
  }
}

void RowFile::open() {
  const std::int64_t size = size_of(path_);
  const bool noted = size_of(note_path_) >= 0;
  if (size > 0 && !noted) fail("is there already, and not from an unfinished sweep; name another file or remove it");
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0) fail("cannot be written: " + problem());
  if (::flock(file_, LOCK_EX | LOCK_NB) != 0) fail("another run is writing it");
  if (noted) {
    read_note();
    if (size_of(path_) < static_cast<std::int64_t>(before_.bytes)) {
      fail(fmt::format("is shorter than its rows were; remove {} to start anew", note_path_));
    }
    if (::ftruncate(file_, static_cast<off_t>(before_.bytes)) != 0) fail("cannot be cut: " + problem());
    if (::lseek(file_, 0, SEEK_END) < 0) fail("cannot be written: " + problem());
  }
  bytes_ = before_.bytes;
  if (!noted) note(before_);
  noted_ = std::chrono::steady_clock::now();
}

void RowFile::write(const std::string& text) {
  waiting_ += text;
  if (waiting_.size() < kBuffer) return;
  if (!write_all(file_, waiting_)) fail("cannot be written: " + problem());
  bytes_ += waiting_.size();
  waiting_.clear();
}

bool RowFile::note_is_due() const {
  const auto since = std::chrono::steady_clock::now() - noted_;
  return since >= kBetweenNotes && since >= 9 * note_took_;
}

void RowFile::note(const FileProgress& progress) {
  const auto begin = std::chrono::steady_clock::now();
  if (!write_all(file_, waiting_) || ::fdatasync(file_) != 0) fail("cannot be written: " + problem());
  bytes_ += waiting_.size();
  waiting_.clear();
  Json json{{"sweep", fingerprint_}, {"points", progress.points}, {"bytes", bytes_}, {"complete", progress.complete}};
  json["front"] = Json::array();
  for (const FrontRow& row : progress.front) {
    json["front"].push_back(Json{{"point", row.point}, {"x", row.x}, {"y", row.y}, {"text", row.text}});
  }
  const std::string beside = note_path_ + ".new";
  const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) fail(fmt::format("{} cannot be written: {}", beside, problem()));
  const bool written = write_all(file, json.dump() + "\n") && ::fdatasync(file) == 0;
  const bool closed = ::close(file) == 0;
  if (!written || !closed || std::rename(beside.c_str(), note_path_.c_str()) != 0) {
    fail(fmt::format("{} cannot be written: {}", note_path_, problem()));
  }
  noted_ = std::chrono::steady_clock::now();
  note_took_ = noted_ - begin;
}

}  // namespace moeline
