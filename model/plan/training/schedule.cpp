#include "plan/training/schedule.hpp"

#include <algorithm>
#include <array>
#include <deque>

#include "error.hpp"

namespace moeline {
namespace {

// Writes passes one after the other; counts micro-batches chunk by chunk.
class Writer {
 public:
  void forward(int chunk, bool paired = false) { put(PassKind::forward, chunk, forwards_[at(chunk)]++, paired); }
  void backward(int chunk) { put(PassKind::backward, chunk, backwards_[at(chunk)]++); }
  void pair(int forward_chunk, int backward_chunk) {
    forward(forward_chunk, true);
    backward(backward_chunk);
  }
  // Its weight gradient waits, first in, first out.
  void input(int chunk) {
    const std::int64_t micro_batch = backwards_[at(chunk)]++;
    waiting_.push_back({PassKind::weight_gradient, false, static_cast<std::int16_t>(chunk), static_cast<std::int32_t>(micro_batch)});
    put(PassKind::input_gradient, chunk, micro_batch);
  }
  void backward(int chunk, bool split) { split ? input(chunk) : backward(chunk); }
  void weight() {
    if (waiting_.empty()) return;
    order_.passes.push_back(waiting_.front());
    waiting_.pop_front();
  }
  void weights_but(std::int64_t kept) {
    while (static_cast<std::int64_t>(waiting_.size()) > kept) weight();
  }
  bool weights_wait() const { return !waiting_.empty(); }
  void put(PassKind kind, int chunk, std::int64_t micro_batch, bool paired = false) {
    order_.passes.push_back({kind, paired, static_cast<std::int16_t>(chunk), static_cast<std::int32_t>(micro_batch)});
  }
  void reserve(std::int64_t passes) { order_.passes.reserve(static_cast<std::size_t>(passes)); }
  void steady() { order_.steady = order_.passes.size(); }
  void drain() { order_.drain = order_.passes.size(); }
  std::int64_t forwards(int chunk) const { return forwards_[at(chunk)]; }
  std::int64_t backwards(int chunk) const { return backwards_[at(chunk)]; }
  StageOrder take() { return std::move(order_); }

 private:
  static std::size_t at(int chunk) { return static_cast<std::size_t>(chunk); }
  StageOrder order_;
  std::array<std::int64_t, 2> forwards_{}, backwards_{};
  std::deque<Pass> waiting_;
};

std::int64_t warm_up(const OrderShape& o, std::int64_t stage) {
  const std::int64_t all = o.micro_batches * o.chunks, behind = o.stages - stage - 1;
  if (o.schedule == Schedule::gpipe) return all;
  if (o.schedule == Schedule::zb_h2) return std::min(all, 2 * behind);
  if (o.chunks == 1) return std::min(all, behind);
  return std::min(all, 2 * behind + (o.chunks - 1) * o.stages);
}

// Forwards run `ahead` passes before backwards. Groups of `stages` micro-batches, within a group chunk after chunk, backwards
// from the last chunk on; one chunk is the plain order.
StageOrder one_f_one_b(const OrderShape& o, std::int64_t stage) {
  const std::int64_t all = o.micro_batches * o.chunks, ahead = warm_up(o, stage), group = o.stages * o.chunks;
  Writer w;
  w.reserve(2 * all);
  const auto put = [&](PassKind kind, std::int64_t i) {
    if (o.chunks == 1) return w.put(kind, 0, i);
    const std::int64_t first = i / group * o.stages, size = std::min(o.stages, o.micro_batches - first), within = i % group;
    const auto chunk = static_cast<int>(within / size);
    w.put(kind, kind == PassKind::forward ? chunk : static_cast<int>(o.chunks) - 1 - chunk, first + within % size);
  };
  for (std::int64_t i = 0; i < ahead; ++i) put(PassKind::forward, i);
  w.steady();
  for (std::int64_t i = ahead; i < all; ++i) {
    put(PassKind::forward, i);
    put(PassKind::backward, i - ahead);
  }
  w.drain();
  for (std::int64_t i = all - ahead; i < all; ++i) put(PassKind::backward, i);
  return w.take();
}

// The order of 1F1B, backwards in two. A stage that warms up with fewer forwards lets as many more weight gradients wait:
// all stages then hold equally much, and the drain has something to run.
StageOrder zero_bubble(const OrderShape& o, std::int64_t stage) {
  const std::int64_t m = o.micro_batches, ahead = warm_up(o, stage), kept = (o.schedule == Schedule::zb_h2 ? 2 : 1) * stage;
  Writer w;
  w.reserve(3 * m);
  for (std::int64_t i = 0; i < ahead; ++i) w.forward(0);
  for (std::int64_t i = ahead; i < m; ++i) {
    if (i == ahead + kept) w.steady();
    w.forward(0);
    w.input(0);
    w.weights_but(kept);
  }
  w.drain();
  while (w.backwards(0) < m) {
    w.input(0);
    w.weights_but(kept);
  }
  w.weights_but(0);
  return w.take();
}

StageOrder zero_bubble_v(const OrderShape& o, std::int64_t stage) {
  const std::int64_t m = o.micro_batches, behind = o.stages - stage;
  Writer w;
  w.reserve(6 * m);
  const auto both = [&](int chunk) {
    w.input(chunk);
    w.weights_but(0);
  };
  for (std::int64_t i = 0; i < 2 * behind - 1; ++i) w.forward(0);
  for (std::int64_t i = 0; i < stage; ++i) {
    w.forward(1);
    w.forward(0);
  }
  for (std::int64_t i = 0; i < behind; ++i) {
    w.forward(1);
    both(1);
  }
  w.steady();
  while (w.forwards(1) < m) {
    if (w.forwards(0) == m) w.drain();
    if (w.forwards(0) < m) w.forward(0);
    both(0);
    w.forward(1);
    both(1);
  }
  for (std::int64_t i = 0; i < stage; ++i) {
    w.input(0);
    w.input(1);
  }
  for (std::int64_t i = 0; i < behind; ++i) {
    w.input(0);
    w.weight();
  }
  w.weights_but(0);
  return w.take();
}

// `half`: stages on one side of the fold, `side`: how far from the outer end; `m` micro-batches of each direction. Chunk 0 is
// that whose direction enters on this side.
StageOrder dual(std::int64_t half, std::int64_t side, std::int64_t m) {
  const std::int64_t inner = half - side - 1;
  Writer w;
  w.reserve(4 * m + 2 * half);
  for (std::int64_t i = 0; i < 2 * inner; ++i) w.forward(0);
  for (std::int64_t i = 0; i < side + 1; ++i) {
    w.forward(0);
    w.forward(1);
  }
  for (std::int64_t i = 0; i < inner; ++i) {
    w.input(1);
    w.weight();
    w.forward(1);
  }
  for (std::int64_t i = 0; i < m - 2 * half + side + 1; ++i) {
    if (i == 0 && inner == 0) {  // apart: the backward need not wait for the forward's input
      w.forward(0);
      w.backward(1);
    } else {
      w.pair(0, 1);
    }
    w.pair(1, 0);
    if (i == 0) w.steady();
  }
  w.drain();
  for (std::int64_t i = 0; i < inner; ++i) {
    w.backward(1);
    w.pair(1, 0);
  }
  bool split = false;
  for (std::int64_t i = 0; i < side + 1; ++i) {  // the second half of the passes leaves weight gradients for the drain
    split |= i == (side + 1) / 2 && side % 2 == 1;
    w.backward(1, split);
    split |= i == (side + 1) / 2;
    w.backward(0, split);
  }
  for (std::int64_t i = 0; i < inner; ++i) {
    w.weight();
    w.input(0);
  }
  w.weights_but(0);
  return w.take();
}

}  // namespace

std::int64_t OrderShape::chunk_at(std::int64_t stage, std::int64_t own) const {
  if (is_folded(schedule)) return own == 0 ? stage : 2 * stages - 1 - stage;
  // Chunk 0 of a stage is of the direction that enters on its side.
  if (runs_both_ways(schedule)) return (own == 0) == (2 * stage < stages) ? stage : 2 * stages - 1 - stage;
  return own * stages + stage;
}

bool OrderShape::enters(std::int64_t chunk) const { return chunk == 0 || (runs_both_ways(schedule) && chunk == stages); }
bool OrderShape::leaves(std::int64_t chunk) const {
  return chunk + 1 == stages * chunks || (runs_both_ways(schedule) && chunk + 1 == stages);
}
bool OrderShape::turns(std::int64_t chunk) const { return stages == 1 || (is_folded(schedule) && chunk + 1 == stages); }

std::int64_t chunks_of(Schedule schedule, std::int64_t vpp) { return is_folded(schedule) || runs_both_ways(schedule) ? 2 : vpp; }

std::int64_t beat(const OrderShape& o) {
  return o.schedule == Schedule::interleaved ? o.stages : runs_both_ways(o.schedule) ? 2 : 1;
}

std::int64_t least_micro_batches(Schedule schedule, std::int64_t stages) {
  switch (schedule) {
    case Schedule::zb_v: return 2 * stages - 1;
    case Schedule::dualpipe:
    case Schedule::dualpipe_v: return 2 * stages;
    default: return 1;
  }
}

std::int64_t micro_batch_multiple(Schedule schedule, std::int64_t stages) {
  return schedule == Schedule::interleaved ? stages : runs_both_ways(schedule) ? 2 : 1;
}

StageOrder order_of(const OrderShape& o, std::int64_t stage) {
  switch (o.schedule) {
    case Schedule::gpipe:
    case Schedule::one_f_one_b:
    case Schedule::interleaved: return one_f_one_b(o, stage);
    case Schedule::zb_h1:
    case Schedule::zb_h2: return zero_bubble(o, stage);
    case Schedule::zb_v: return zero_bubble_v(o, stage);
    case Schedule::dualpipe: return dual(o.stages / 2, std::min(stage, o.stages - 1 - stage), o.micro_batches / 2);
    case Schedule::dualpipe_v: return dual(o.stages, stage, o.micro_batches);
  }
  MOELINE_EXPECT(false);
  return {};
}

std::int64_t pairs_of(const OrderShape& o, std::int64_t stage, std::int64_t own) {
  const bool folded = o.schedule == Schedule::dualpipe_v;
  if (!folded && o.schedule != Schedule::dualpipe) return 0;
  const std::int64_t half = folded ? o.stages : o.stages / 2, side = folded ? stage : std::min(stage, o.stages - 1 - stage);
  const std::int64_t both = (folded ? o.micro_batches : o.micro_batches / 2) - 2 * half + side + 1, inner = half - side - 1;
  return own == 0 ? both - (inner == 0 ? 1 : 0) : both + inner;
}

double chunks_in_flight(const OrderShape& o, std::int64_t stage) {
  const std::int64_t all = o.micro_batches * o.chunks;
  switch (o.schedule) {
    case Schedule::zb_h1: return static_cast<double>(std::min(o.stages, all));
    case Schedule::zb_h2: return static_cast<double>(std::min(2 * o.stages - 1, all));
    case Schedule::zb_v: return static_cast<double>(2 * o.stages);
    case Schedule::dualpipe: return static_cast<double>(o.stages + 1);
    case Schedule::dualpipe_v: return static_cast<double>(2 * o.stages + 1);
    default: return static_cast<double>(std::min(all, warm_up(o, stage) + 1));
  }
}

}  // namespace moeline
