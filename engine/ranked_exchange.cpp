#include "engine/ranked_exchange.hpp"

#include <unistd.h>

#include <bit>
#include <thread>

#include "spec/json.hpp"

namespace moeline {
namespace {

namespace from_0 {
constexpr char kCase = 'c', kCheck = 'k', kCold = 'l', kHot = 'h', kHere = 'i';  // here: still alive, nothing to do
}
namespace to_0 {  // `first` the bits of the seconds, `last` the number of the command
constexpr char kDone = 'd', kDisturbed = 'u', kProblem = 'p';
}

// Whoever waits for a rank that died would wait for ever: the run then ends with its last words.
struct Deadline {
  Deadline() { ::alarm(60); }  // seconds, for what takes less than one
  ~Deadline() { ::alarm(0); }
};

std::string text_of(const Case& wanted) {
  return Json{{"op", wanted.op},       {"library", wanted.library}, {"kind", wanted.kind},
              {"dtype", wanted.dtype}, {"shape", wanted.shape},     {"seed", wanted.seed}}
      .dump();
}
Case case_of(const std::string& text) {
  const Json json = Json::parse(text);
  return {json["op"], json["library"], json["kind"], json["dtype"], json["shape"], json["seed"]};
}
int ranks_of(const Case& wanted) { return static_cast<int>(wanted.shape.at("ranks")); }

// What rank 0 says to the first ranks, and what it hears.
class Orders {
 public:
  explicit Orders(Ranks& ranks) : ranks_(ranks) {}

  Peers& first(int count) { return ranks_.first(count); }

  void give(int count, char what, const std::string& text = "") {
    ++number_;
    awaited_ = static_cast<std::size_t>(count - 1);
    for (int rank = 1; rank < count; ++rank) {
      ranks_.send(rank, {.kind = what, .first = static_cast<std::uint64_t>(count), .last = number_, .text = text});
    }
  }

  // To the last order; one to an order before, which rank 0 gave up, is none.
  std::vector<Message> answers() {
    std::vector<Message> heard;
    while (heard.size() < awaited_) {
      std::optional<Message> message = ranks_.poll();
      if (!message) std::this_thread::yield();
      if (message && message->last == number_) heard.push_back(std::move(*message));
    }
    return heard;
  }

 private:
  Ranks& ranks_;
  std::uint64_t number_ = 0;
  std::size_t awaited_ = 0;
};

// The slower one; but a rank that lost its core for a while, even if what it did alone took less.
bool kept_others_waiting(const Sample& a, const Sample& b) {
  return a.disturbed != b.disturbed ? a.disturbed : a.seconds > b.seconds;
}

class RankedRun : public Run {
 public:
  RankedRun(const Case& wanted, Backend& backend, Orders& orders) : orders_(orders), ranks_(ranks_of(wanted)) {
    orders_.give(ranks_, from_0::kCase, text_of(wanted));
    const Deadline deadline;
    peers_ = &orders_.first(ranks_);
    part_ = backend.part(wanted, 0);
    for (const Message& answer : orders_.answers()) {
      if (answer.kind == to_0::kProblem) throw HardwareError(answer.text);
    }
  }

  Check check() override {
    orders_.give(ranks_, from_0::kCheck);
    const Deadline deadline;
    Check check = part_->check(*peers_);
    for (const Message& answer : orders_.answers()) {
      if (check.passed && answer.kind == to_0::kProblem) check = {.error = 1, .problem = answer.text};
    }
    return check;
  }

  Sample sample(Caches caches) override {
    orders_.give(ranks_, caches == Caches::cold ? from_0::kCold : from_0::kHot);
    const Deadline deadline;
    Sample sample = part_->sample(*peers_, caches);
    for (const Message& answer : orders_.answers()) {
      if (answer.kind == to_0::kProblem) throw HardwareError(answer.text);
      const Sample other{.seconds = std::bit_cast<double>(answer.first), .disturbed = answer.kind == to_0::kDisturbed};
      if (kept_others_waiting(other, sample)) sample.seconds = other.seconds, sample.disturbed = other.disturbed;
    }
    return sample;
  }

  std::map<std::string, double> filled_in() const override { return part_->filled_in(); }

 private:
  Orders& orders_;
  int ranks_;
  Peers* peers_ = nullptr;
  std::unique_ptr<Part> part_;
};

class AmongRanks : public Backend {
 public:
  AmongRanks(std::unique_ptr<Backend> backend, Ranks& ranks)
      : backend_(std::move(backend)), size_(ranks.size), orders_(ranks) {}

  Machine machine() override { return backend_->machine(); }

  std::vector<std::string> libraries(const Case& wanted) const override {
    std::vector<std::string> list = backend_->libraries(wanted);
    if (!list.empty() && wanted.op == "all_to_all" && ranks_of(wanted) <= size_) list.insert(list.begin(), "mpi");
    return list;
  }

  std::unique_ptr<Run> prepare(const Case& wanted) override {
    if (wanted.library == "mpi") return std::make_unique<RankedRun>(wanted, *backend_, orders_);
    orders_.give(size_, from_0::kHere);
    return backend_->prepare(wanted);
  }

 private:
  std::unique_ptr<Backend> backend_;
  int size_;
  Orders orders_;
};

// What one of the other ranks holds of the case at hand.
class Follower {
 public:
  Follower(Ranks& ranks, const std::function<std::unique_ptr<Backend>()>& load) : ranks_(ranks), load_(load) {}

  void obey(const Message& order) {
    if (order.kind == from_0::kHere) return;
    Message answer{.kind = to_0::kDone, .last = order.last};
    try {
      do_as_told(order, answer);
    } catch (const std::exception& problem) {
      answer.kind = to_0::kProblem;
      answer.text = problem.what();
    }
    ranks_.send(0, std::move(answer));
  }

 private:
  void do_as_told(const Message& order, Message& answer) {
    const Deadline deadline;
    if (order.kind == from_0::kCase) {
      peers_ = &ranks_.first(static_cast<int>(order.first));
      if (!backend_) backend_ = load_();
      part_.reset();  // its memory first
      part_ = backend_->part(case_of(order.text), ranks_.rank);
    } else if (order.kind == from_0::kCheck) {
      const Check check = part_->check(*peers_);
      if (!check.passed) throw HardwareError(check.problem);
    } else {
      const Sample sample = part_->sample(*peers_, order.kind == from_0::kCold ? Caches::cold : Caches::hot);
      answer.first = std::bit_cast<std::uint64_t>(sample.seconds);
      if (sample.disturbed) answer.kind = to_0::kDisturbed;
    }
  }

  Ranks& ranks_;
  const std::function<std::unique_ptr<Backend>()>& load_;
  std::unique_ptr<Backend> backend_;
  Peers* peers_ = nullptr;
  std::unique_ptr<Part> part_;
};

}  // namespace

void exchange_among(Ranks& ranks, LoadedBackend& loaded) {
  loaded.backend = std::make_unique<AmongRanks>(std::move(loaded.backend), ranks);
  loaded.machine.versions["mpi"] = ranks.library;
}

int take_part(Ranks& ranks, const std::function<std::unique_ptr<Backend>()>& load) {
  Follower follower(ranks, load);
  return follow(ranks, [&](const Message& order) { follower.obey(order); });
}

}  // namespace moeline
