#include "validate/comm/exchange.hpp"

#include <algorithm>
#include <barrier>
#include <cmath>
#include <exception>
#include <thread>

#include "validate/comm/transport.hpp"
#include "validate/cuda/cases.hpp"
#include "validate/routed.hpp"

namespace moeline {
namespace {

constexpr int kMultiprocessors = 24;

int ranks_of(const Case& wanted) { return size_of(wanted, "ranks"); }

Case product_beside(std::uint64_t seed) {
  return {.op = "grouped_gemm",
          .library = "cublaslt",
          .dtype = "bf16",
          .shape = {{"groups", 8}, {"m", 2048}, {"n", 4096}, {"k", 7168}},
          .seed = seed};
}

// Products that keep one GPU busy on a stream of their own.
class Busy {
 public:
  Busy(Device& device, std::uint64_t seed)
      : device_(device.ordinal()), run_(product_run(product_beside(seed), device_, library_)) {}
  void start() { run_->sample(Caches::hot); }

 private:
  Device device_;
  CublasLt library_;
  std::unique_ptr<Run> run_;
};

class Exchange : public Run {
 public:
  Exchange(const Case& wanted, const std::vector<std::unique_ptr<Device>>& devices)
      : bytes_(exchanged_bytes(wanted)), routed_(wanted.kind == "moe"), layout_(bytes_) {
    const auto budget = wanted.shape.find("multiprocessors");
    transport_ = make_transport(wanted.library, layout_,
                                budget == wanted.shape.end() ? kMultiprocessors : static_cast<int>(budget->second));
    for (int rank = 0; rank < layout_.ranks(); ++rank) {
      devices_.push_back(devices[static_cast<std::size_t>(rank)].get());
      devices_.back()->make_current();
      const std::vector<std::uint8_t> sent = sent_by(rank);
      MOELINE_CUDA(cudaMemcpy(transport_->memory(rank).send, sent.data(), sent.size(), cudaMemcpyHostToDevice));
      if (wanted.kind == "beside_gemm") busy_.push_back(std::make_unique<Busy>(*devices_.back(), wanted.seed));
    }
  }

  Check check() override {
    for (int rank = 0; rank < layout_.ranks(); ++rank) {
      device(rank).make_current();
      MOELINE_CUDA(cudaMemset(transport_->memory(rank).receive, 0xFF, layout_.receive_bytes(rank)));
      MOELINE_CUDA(cudaDeviceSynchronize());
    }
    together(Caches::hot, 1);
    for (int to = 0; to < layout_.ranks(); ++to) {
      device(to).make_current();
      std::vector<std::uint8_t> got(layout_.receive_bytes(to));
      MOELINE_CUDA(cudaMemcpy(got.data(), transport_->memory(to).receive, got.size(), cudaMemcpyDeviceToHost));
      if (got != expected_by(to))
        return {.error = 1, .problem = "rank " + std::to_string(to) + " received other bytes than it was sent"};
    }
    return {.passed = true};
  }

  // Hot: several exchanges back to back on every rank.
  Sample sample(Caches caches) override {
    if (caches == Caches::cold) return together(caches, 1);
    const Sample once = together(Caches::cold, 1);
    return together(caches, std::clamp(static_cast<int>(std::ceil(2e-3 / once.seconds)), 1, 50));
  }

  std::map<std::string, double> filled_in() const override {
    if (!routed_) return {};
    return {{"bytes", busiest_rank(bytes_)}};
  }

 private:
  Device& device(int rank) const { return *devices_[static_cast<std::size_t>(rank)]; }
  static std::uint8_t token(int from, int to, std::size_t i) {  // never 0xff, which poisons
    return static_cast<std::uint8_t>(
        (i * 7 + static_cast<std::size_t>(from) * 101 + static_cast<std::size_t>(to) * 53) % 251);
  }
  std::vector<std::uint8_t> sent_by(int from) const {
    std::vector<std::uint8_t> all(layout_.send_bytes(from), 0xFF);
    for (int to = 0; to < layout_.ranks(); ++to) {
      const ExchangeLayout::Message& message = layout_.message(from, to);
      for (std::size_t i = 0; i < message.bytes; ++i) all[message.send_at + i] = token(from, to, i);
    }
    return all;
  }
  // What lies between messages stays poisoned.
  std::vector<std::uint8_t> expected_by(int to) const {
    std::vector<std::uint8_t> all(layout_.receive_bytes(to), 0xFF);
    for (int from = 0; from < layout_.ranks(); ++from) {
      const ExchangeLayout::Message& message = layout_.message(from, to);
      for (std::size_t i = 0; i < message.bytes; ++i) all[message.receive_at + i] = token(from, to, i);
    }
    return all;
  }

  // A thread per rank: queue behind the gate, meet, open, wait. The slowest rank counts.
  Sample together(Caches caches, int times) {
    const auto ranks = static_cast<std::size_t>(layout_.ranks());
    std::vector<Sample> samples(ranks);
    std::vector<std::exception_ptr> failures(ranks);
    std::barrier queued(static_cast<std::ptrdiff_t>(ranks));
    std::vector<std::thread> threads;
    std::vector<std::thread> busy;
    for (const std::unique_ptr<Busy>& products : busy_) busy.emplace_back([&products] { products->start(); });
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] {
        try {
          samples[rank] = of_rank(static_cast<int>(rank), caches, times, queued);
        } catch (...) {
          failures[rank] = std::current_exception();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (std::thread& thread : busy) thread.join();
    for (const std::exception_ptr& failure : failures) {
      if (failure) std::rethrow_exception(failure);
    }
    return *std::ranges::max_element(samples, {}, &Sample::seconds);
  }

  Sample of_rank(int rank, Caches caches, int times, std::barrier<>& queued) {
    Device& mine = device(rank);
    const Device::Call call = [&](cudaStream_t stream) { transport_->enqueue(rank, stream); };
    try {
      mine.make_current();
      mine.close_gate();
      if (caches == Caches::cold) mine.empty_caches();
      mine.queue(call, times);
    } catch (...) {
      queued.arrive_and_drop();  // the others must not wait for us
      mine.open_gate();
      throw;
    }
    queued.arrive_and_wait();
    mine.open_gate();
    return mine.finish(times);
  }

  ByteMatrix bytes_;
  bool routed_;
  ExchangeLayout layout_;
  std::unique_ptr<Transport> transport_;
  std::vector<Device*> devices_;
  std::vector<std::unique_ptr<Busy>> busy_;
};

}  // namespace

std::vector<std::string> exchange_libraries(const Case& wanted, int devices) {
  const bool known = wanted.kind.empty() || wanted.kind == "moe" || wanted.kind == "beside_gemm";
  if (!known || wanted.dtype != "int8" || ranks_of(wanted) > devices) return {};
  return transports_for(ExchangeLayout(exchanged_bytes(wanted)));
}

std::unique_ptr<Run> exchange_run(const Case& wanted, const std::vector<std::unique_ptr<Device>>& devices) {
  return std::make_unique<Exchange>(wanted, devices);
}

}  // namespace moeline
