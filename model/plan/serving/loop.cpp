#include "plan/serving/loop.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <queue>
#include <vector>

#include "error.hpp"
#include "spec/popularity.hpp"

namespace moeline {
namespace {

struct Waiting {
  double arrival = 0, left = 0;  // seconds; tokens of the prompt
  double output = 0;
};

struct Decoding {
  double tick = 0;  // iteration that brings its last token
  double first = 0, output = 0;
  bool operator>(const Decoding& other) const { return tick > other.tick; }
};

double quantile(std::vector<double>& values, double share) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

class Run {
 public:
  Run(const Loop& loop, const LoopPrices& p)
      : loop_(loop), mixes_(p.mixes), budget_(p.budget), decode_(p.decode.in(second)), each_(p.decode_sequence.in(second)),
        prompts_(p.prompts.in(second)), token_(p.prompt_token.in(second)), random_(1) {}

  LoopTimes times() {
    for (double i = 0; i < std::min(loop_.users, loop_.requests); ++i) send(0);
    while (started_ < loop_.requests || !decoding_.empty()) {
      if (waiting_.empty() && decoding_.empty()) now_ = std::max(now_, coming_.front());
      admit();
      const double room = budget_ - (mixes_ ? static_cast<double>(decoding_.size()) : 0);
      const bool full = static_cast<double>(decoding_.size()) >= loop_.most;
      if (!waiting_.empty() && room >= 1 && !full) take_prompts(room);
      else decode_until_event();
      finish();
    }
    return {.ttft_median = quantile(ttft_, 0.5) * second, .ttft_mean = mean(ttft_) * second, .ttft_p90 = quantile(ttft_, 0.9) * second,
            .ttft_p99 = quantile(ttft_, 0.99) * second, .tpot_median = quantile(tpot_, 0.5) * second, .tpot_mean = mean(tpot_) * second,
            .requests_per_second = loop_.requests / now_};
  }

 private:
  void send(double at) {
    if (sent_ >= loop_.requests) return;
    ++sent_;
    coming_.push_back(at);
  }
  double drawn(double longest) { return std::max(1.0, std::round(longest * (loop_.ratio + (1 - loop_.ratio) * random_.next()))); }
  void admit() {
    while (!coming_.empty() && coming_.front() <= now_ + 1e-12) {
      waiting_.push_back({coming_.front(), drawn(loop_.input), drawn(loop_.output)});
      coming_.pop_front();
    }
  }
  double decode_time() const { return decoding_.empty() ? 0 : decode_ + each_ * static_cast<double>(decoding_.size()); }

  void take_prompts(double room) {
    double taken = 0;
    std::vector<Waiting> done;
    for (std::size_t i = 0; i < waiting_.size() && room >= 1; ++i) {
      if (static_cast<double>(decoding_.size() + i) >= loop_.most) break;
      const double now = std::min(room, waiting_[i].left);
      waiting_[i].left -= now;
      room -= now;
      taken += now;
      if (waiting_[i].left < 1) done.push_back(waiting_[i]);
    }
    now_ += prompts_ + token_ * taken + (mixes_ ? decode_time() : 0);
    if (mixes_ && !decoding_.empty()) ++tick_;
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(done.size()));
    for (const Waiting& w : done) {
      if (++started_ > loop_.left_out) ttft_.push_back(now_ - w.arrival);
      decoding_.push({tick_ + w.output - 1, now_, w.output});
    }
  }
  // All iterations until a request ends or comes, at once.
  void decode_until_event() {
    const double one = decode_time();
    double count = std::max(1.0, decoding_.top().tick - tick_);
    const bool blocked = static_cast<double>(decoding_.size()) >= loop_.most;
    if (!coming_.empty() && !blocked) count = std::min(count, std::max(1.0, std::ceil((coming_.front() - now_) / one)));
    now_ += count * one;
    tick_ += count;
  }
  void finish() {
    while (!decoding_.empty() && decoding_.top().tick <= tick_) {
      const Decoding d = decoding_.top();
      decoding_.pop();
      if (++ended_ > loop_.left_out) tpot_.push_back((now_ - d.first) / std::max(1.0, d.output - 1));
      send(now_ + loop_.away.in(second));
    }
  }

  const Loop& loop_;
  bool mixes_;
  double budget_, decode_, each_, prompts_, token_;
  Random random_;
  double now_ = 0, tick_ = 0, sent_ = 0, started_ = 0, ended_ = 0;
  std::deque<double> coming_;
  std::deque<Waiting> waiting_;
  std::priority_queue<Decoding, std::vector<Decoding>, std::greater<>> decoding_;
  std::vector<double> ttft_, tpot_;
};

}  // namespace

LoopTimes run_loop(const Loop& loop, const LoopPrices& prices) {
  MOELINE_EXPECT(loop.users >= 1 && loop.requests > loop.left_out && loop.most >= 1 && prices.budget >= 1);
  return Run(loop, prices).times();
}

}  // namespace moeline
