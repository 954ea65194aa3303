#include <cstring>
#include <numeric>

#include "validate/host/buffer.hpp"
#include "validate/host/cases.hpp"
#include "validate/routed.hpp"

namespace moeline {
namespace {

// Member d copies what every s holds for it, beginning with its own share so that no two start at the same source.
class Exchange : public HostRun {
 public:
  Exchange(const Case& wanted, Team& team)
      : HostRun(team), bytes_(exchanged_bytes(wanted)), routed_(wanted.kind == "moe") {
    for (std::size_t rank = 0; rank < bytes_.size(); ++rank) {
      std::size_t received = 0;
      for (const std::vector<std::size_t>& from : bytes_) received += from[rank];
      send_.emplace_back(std::accumulate(bytes_[rank].begin(), bytes_[rank].end(), std::size_t{0}));
      receive_.emplace_back(received);
      for (std::size_t i = 0; i < send_[rank].size(); ++i) send_[rank][i] = token(rank, i);
    }
  }

  Check check() override {
    for (Buffer<std::uint8_t>& buffer : receive_) buffer.poison();
    run();
    for (std::size_t to = 0; to < bytes_.size(); ++to) {
      if (!receive_[to].guards_alive())
        return {.problem = "a canary behind what rank " + std::to_string(to) + " received died"};
      std::size_t at = 0;
      for (std::size_t from = 0; from < bytes_.size(); ++from) {
        for (std::size_t i = 0; i < bytes_[from][to]; ++i, ++at) {
          if (receive_[to][at] != token(from, sent_before(from, to) + i)) {
            return {.error = 1,
                    .problem = "byte " + std::to_string(at) + " of rank " + std::to_string(to) + " is wrong"};
          }
        }
      }
    }
    return {.passed = true};
  }

  std::map<std::string, double> filled_in() const override {
    if (!routed_) return {};
    return {{"bytes", busiest_rank(bytes_)}};
  }

 private:
  // Never 0xff, which poisons.
  static std::uint8_t token(std::size_t rank, std::size_t i) {
    return static_cast<std::uint8_t>((i * 7 + rank * 101) % 251);
  }
  std::size_t sent_before(std::size_t from, std::size_t to) const {
    const auto begin = bytes_[from].begin();
    return std::accumulate(begin, begin + static_cast<std::ptrdiff_t>(to), std::size_t{0});
  }

  void work(int member) override {
    const std::size_t ranks = bytes_.size(), to = static_cast<std::size_t>(member);
    if (to >= ranks) return;
    for (std::size_t turn = 0; turn < ranks; ++turn) {
      const std::size_t from = (to + turn) % ranks;
      std::size_t at = 0;
      for (std::size_t before = 0; before < from; ++before) at += bytes_[before][to];
      std::memcpy(receive_[to].data() + at, send_[from].data() + sent_before(from, to), bytes_[from][to]);
    }
  }

  ByteMatrix bytes_;
  bool routed_;
  std::vector<Buffer<std::uint8_t>> send_, receive_;
};

}  // namespace

std::unique_ptr<Run> exchange_run(const Case& wanted, Team& team) { return std::make_unique<Exchange>(wanted, team); }

}  // namespace moeline
