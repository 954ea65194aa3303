#include <algorithm>
#include <climits>
#include <cstring>
#include <numeric>

#include "validate/host/buffer.hpp"
#include "validate/host/cases.hpp"
#include "validate/host/processor.hpp"
#include "validate/routed.hpp"

namespace moeline {
namespace {

// Where what a rank sends to, or receives from, each begins; and behind the last.
std::vector<std::size_t> places(const std::vector<std::size_t>& bytes) {
  std::vector<std::size_t> places(bytes.size() + 1);
  std::inclusive_scan(bytes.begin(), bytes.end(), places.begin() + 1);
  return places;
}
std::vector<std::size_t> received_by(std::size_t rank, const ByteMatrix& bytes) {
  std::vector<std::size_t> received;
  for (const std::vector<std::size_t>& from : bytes) received.push_back(from[rank]);
  return received;
}

// The buffers of one rank.
class Ends {
 public:
  Ends(std::size_t rank, const ByteMatrix& bytes)
      : rank_(rank),
        bytes_(bytes),
        send_places_(places(bytes[rank])),
        receive_places_(places(received_by(rank, bytes))),
        send_(send_places_.back()),
        receive_(receive_places_.back()) {
    for (std::size_t i = 0; i < send_.size(); ++i) send_[i] = token(rank, i);
  }

  const std::uint8_t* sent_to(std::size_t rank) const { return send_.data() + send_places_[rank]; }
  std::uint8_t* received_from(std::size_t rank) { return receive_.data() + receive_places_[rank]; }
  std::size_t bytes_from(std::size_t rank) const { return bytes_[rank][rank_]; }
  Peers::Blocks sent() { return blocks(send_, send_places_); }
  Peers::Blocks received() { return blocks(receive_, receive_places_); }

  void poison() { receive_.poison(); }
  Check check() const {
    const std::string whose = "rank " + std::to_string(rank_);
    if (!receive_.guards_alive()) return {.problem = "a canary behind what " + whose + " received died"};
    for (std::size_t from = 0; from < bytes_.size(); ++from) {
      const std::size_t first = places(bytes_[from])[rank_];
      for (std::size_t i = 0; i < bytes_[from][rank_]; ++i) {
        const std::size_t at = receive_places_[from] + i;
        if (receive_[at] != token(from, first + i))
          return {.error = 1, .problem = "byte " + std::to_string(at) + " of " + whose + " is wrong"};
      }
    }
    return {.passed = true};
  }

 private:
  // Never 0xff, which poisons.
  static std::uint8_t token(std::size_t rank, std::size_t i) {
    return static_cast<std::uint8_t>((i * 7 + rank * 101) % 251);
  }
  static Peers::Blocks blocks(Buffer<std::uint8_t>& buffer, const std::vector<std::size_t>& places) {
    if (buffer.size() > INT_MAX) throw HardwareError("more than 2 GiB of one rank, and MPI counts no further");
    Peers::Blocks blocks{.data = buffer.data(), .bytes = {}, .first = {}};
    for (std::size_t rank = 0; rank + 1 < places.size(); ++rank) {
      blocks.first.push_back(static_cast<int>(places[rank]));
      blocks.bytes.push_back(static_cast<int>(places[rank + 1] - places[rank]));
    }
    return blocks;
  }

  std::size_t rank_;
  const ByteMatrix& bytes_;
  std::vector<std::size_t> send_places_, receive_places_;
  Buffer<std::uint8_t> send_, receive_;
};

// What only the matrix of a routed exchange tells.
std::map<std::string, double> routed_size(const ByteMatrix& bytes, bool routed) {
  if (!routed) return {};
  return {{"bytes", busiest_rank(bytes)}};
}

// Member d copies what every s holds for it, beginning with its own share so that no two start at the same source.
class Exchange : public HostRun {
 public:
  Exchange(const Case& wanted, Team& team)
      : HostRun(team), bytes_(exchanged_bytes(wanted)), routed_(wanted.kind == "moe") {
    for (std::size_t rank = 0; rank < bytes_.size(); ++rank) ranks_.emplace_back(rank, bytes_);
  }

  Check check() override {
    for (Ends& rank : ranks_) rank.poison();
    run();
    for (const Ends& rank : ranks_) {
      if (const Check check = rank.check(); !check.passed) return check;
    }
    return {.passed = true};
  }

  std::map<std::string, double> filled_in() const override { return routed_size(bytes_, routed_); }

 private:
  void work(int member) override {
    const std::size_t ranks = bytes_.size(), to = static_cast<std::size_t>(member);
    if (to >= ranks) return;
    for (std::size_t turn = 0; turn < ranks; ++turn) {
      const std::size_t from = (to + turn) % ranks;
      std::memcpy(ranks_[to].received_from(from), ranks_[from].sent_to(to), ranks_[to].bytes_from(from));
    }
  }

  ByteMatrix bytes_;
  bool routed_;
  std::vector<Ends> ranks_;
};

// One rank of it, which is a process.
class ProcessPart : public Part {
 public:
  ProcessPart(const Case& wanted, int rank)
      : bytes_(exchanged_bytes(wanted)),
        routed_(wanted.kind == "moe"),
        ends_(static_cast<std::size_t>(rank), bytes_),
        sent_(ends_.sent()),
        received_(ends_.received()),
        share_of_caches_(cache_filling_words() / bytes_.size()) {}

  Check check(Peers& peers) override {
    ends_.poison();
    peers.all_to_all(sent_, received_);
    return ends_.check();
  }

  Sample sample(Peers& peers, Caches caches) override {
    if (caches == Caches::cold) std::ranges::fill(share_of_caches_, ++value_);
    peers.meet();
    const double worked_before = processor_seconds(), begun = now();
    peers.all_to_all(sent_, received_);
    const double seconds = now() - begun, worked = processor_seconds() - worked_before;
    const bool disturbed = lost(seconds - worked, seconds);
    return {.seconds = disturbed ? worked : seconds, .clock_hz = core_clock(), .disturbed = disturbed};
  }

  std::map<std::string, double> filled_in() const override { return routed_size(bytes_, routed_); }

 private:
  ByteMatrix bytes_;
  bool routed_;
  Ends ends_;
  Peers::Blocks sent_, received_;
  std::vector<std::uint64_t> share_of_caches_;
  std::uint64_t value_ = 0;
};

}  // namespace

std::unique_ptr<Run> exchange_run(const Case& wanted, Team& team) { return std::make_unique<Exchange>(wanted, team); }
std::unique_ptr<Part> exchange_part(const Case& wanted, int rank) {
  return std::make_unique<ProcessPart>(wanted, rank);
}

}  // namespace moeline
