#include "engine/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace moeline {
namespace {

constexpr std::chrono::milliseconds kBetween{250};

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

}  // namespace

Progress::Progress(std::uint64_t first, std::uint64_t total, bool shown)
    : first_(first), total_(total), shown_(shown && isatty(STDERR_FILENO) == 1), begin_(Clock::now()), last_(begin_) {}

Progress::~Progress() {
  if (drawn_) fmt::print(stderr, "\r\033[K");
}

void Progress::at(std::uint64_t done) {
  if (!shown_) return;
  const Clock::time_point now = Clock::now();
  if (now - last_ < kBetween) return;
  last_ = now;
  drawn_ = true;
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  const double rate = static_cast<double>(done - first_) / seconds;
  fmt::print(stderr, "\r\033[K{} of {} points, {:.0f}/s, {} to go", done, total_, rate,
             duration(static_cast<double>(total_ - done) / rate));
  std::fflush(stderr);
}

}  // namespace moeline
