#include "validate/comm/transport.hpp"

#include <algorithm>
#include <array>

#include "validate/cuda/device.hpp"
#include "validate/kernels/scatter.hpp"

namespace moeline {
namespace {

std::size_t padded(std::size_t bytes) { return (bytes + 15) / 16 * 16; }

// Buffers from cudaMalloc, which every device may write where peers are enabled.
class PeerTransport : public Transport {
 public:
  explicit PeerTransport(const ExchangeLayout& layout) : layout_(layout) {
    for (int rank = 0; rank < layout.ranks(); ++rank) {
      MOELINE_CUDA(cudaSetDevice(rank));
      send_.emplace_back(layout.send_bytes(rank));
      receive_.emplace_back(layout.receive_bytes(rank));
    }
  }
  RankMemory memory(int rank) const override {
    const auto r = static_cast<std::size_t>(rank);
    return {send_[r].data(), receive_[r].data()};
  }

 protected:
  const ExchangeLayout& layout() const { return layout_; }

 private:
  ExchangeLayout layout_;
  std::vector<DeviceMemory> send_, receive_;
};

// Every rank pushes, beginning with its neighbour so that no two begin at the same target.
class PeerCopies : public PeerTransport {
 public:
  using PeerTransport::PeerTransport;
  void enqueue(int rank, cudaStream_t stream) override {
    for (int turn = 0; turn < layout().ranks(); ++turn) {
      const int to = (rank + turn) % layout().ranks();
      const ExchangeLayout::Message& message = layout().message(rank, to);
      if (message.bytes == 0) continue;
      MOELINE_CUDA(cudaMemcpyPeerAsync(static_cast<std::uint8_t*>(memory(to).receive) + message.receive_at, to,
                                       static_cast<const std::uint8_t*>(memory(rank).send) + message.send_at, rank,
                                       message.bytes, stream));
    }
  }
};

class PeerKernel : public PeerTransport {
 public:
  PeerKernel(const ExchangeLayout& layout, int multiprocessors)
      : PeerTransport(layout), multiprocessors_(multiprocessors) {
    for (int rank = 0; rank < layout.ranks(); ++rank) {
      MOELINE_CUDA(cudaSetDevice(rank));
      for (int peer = 0; peer < layout.ranks(); ++peer) {
        if (peer == rank) continue;
        const cudaError_t error = cudaDeviceEnablePeerAccess(peer, 0);
        if (error == cudaErrorPeerAccessAlreadyEnabled)
          cudaGetLastError();
        else
          MOELINE_CUDA(error);
      }
      std::vector<kernels::ScatterPart> parts;
      for (int turn = 0; turn < layout.ranks(); ++turn) {
        const int to = (rank + turn) % layout.ranks();
        const ExchangeLayout::Message& message = layout.message(rank, to);
        parts.push_back({static_cast<std::uint8_t*>(memory(to).receive) + message.receive_at,
                         static_cast<const std::uint8_t*>(memory(rank).send) + message.send_at, message.bytes});
      }
      parts_.push_back(DeviceMemory::of(parts));
    }
  }
  void enqueue(int rank, cudaStream_t stream) override {
    MOELINE_CUDA(kernels::scatter(parts_[static_cast<std::size_t>(rank)].as<kernels::ScatterPart>(), layout().ranks(),
                                  multiprocessors_, stream));
  }

 private:
  int multiprocessors_;
  std::vector<DeviceMemory> parts_;
};

bool all_are_peers(int ranks) {
  for (int a = 0; a < ranks; ++a) {
    for (int b = 0; b < ranks; ++b) {
      int can = 0;
      if (a != b && (cudaDeviceCanAccessPeer(&can, a, b) != cudaSuccess || can == 0)) return false;
    }
  }
  return true;
}

}  // namespace

ExchangeLayout::ExchangeLayout(const std::vector<std::vector<std::size_t>>& bytes)
    : ranks_(static_cast<int>(bytes.size())), send_(bytes.size()), receive_(bytes.size()) {
  for (std::size_t from = 0; from < bytes.size(); ++from) {
    for (std::size_t to = 0; to < bytes.size(); ++to) {
      messages_.push_back({bytes[from][to], send_[from], receive_[to]});
      send_[from] += padded(bytes[from][to]);
      receive_[to] += padded(bytes[from][to]);
    }
  }
}

std::size_t ExchangeLayout::largest() const {
  return std::max(*std::ranges::max_element(send_), *std::ranges::max_element(receive_));
}

bool ExchangeLayout::equal() const {
  const std::size_t one = messages_.front().bytes;
  return one % 16 == 0 && std::ranges::all_of(messages_, [&](const Message& message) { return message.bytes == one; });
}

std::vector<std::string> transports_for(const ExchangeLayout& layout) {
  std::vector<std::string> names = nccl_transports(layout);
  names.push_back("peer_copy");
  if (all_are_peers(layout.ranks())) names.push_back("peer_kernel");
  return names;
}

std::unique_ptr<Transport> make_transport(const std::string& library, const ExchangeLayout& layout,
                                          int multiprocessors) {
  if (library == "peer_copy") return std::make_unique<PeerCopies>(layout);
  if (library == "peer_kernel") return std::make_unique<PeerKernel>(layout, multiprocessors);
  return make_nccl_transport(library, layout, multiprocessors);
}

}  // namespace moeline
