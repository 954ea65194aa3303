// How do bytes get from every GPU to every other?
//
//   library            how                                                              sizes     needs
//   nccl               ncclSend, ncclRecv in one group                                  any       NCCL
//   nccl_alltoall      ncclAlltoAll                                                     equal     NCCL 2.28
//   nccl_copy_engine   ncclAlltoAll between symmetric windows, no multiprocessors       equal     NCCL 2.28
//   nccl_window        own kernel storing into the peers' windows, `multiprocessors`    any       NCCL 2.28 device API
//   peer_copy          cudaMemcpyPeerAsync, one per peer: copy engines                  any       -
//   peer_kernel        own kernel storing into peer memory, `multiprocessors`           any       peer access
// One process; rank r is the GPU of ordinal r, and a thread of its own calls enqueue for it.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "validate/backend.hpp"

namespace moeline {

// Messages lie in order of the rank they go to, or came from, each padded to 16 bytes.
class ExchangeLayout {
 public:
  explicit ExchangeLayout(const std::vector<std::vector<std::size_t>>& bytes);  // [from][to]
  struct Message {
    std::size_t bytes, send_at, receive_at;
  };
  int ranks() const { return ranks_; }
  const Message& message(int from, int to) const { return messages_[static_cast<std::size_t>(from * ranks_ + to)]; }
  std::size_t send_bytes(int rank) const { return send_[static_cast<std::size_t>(rank)]; }
  std::size_t receive_bytes(int rank) const { return receive_[static_cast<std::size_t>(rank)]; }
  std::size_t largest() const;  // buffer of any rank
  bool equal() const;           // all messages have one size, a multiple of 16

 private:
  int ranks_;
  std::vector<Message> messages_;
  std::vector<std::size_t> send_, receive_;
};

struct RankMemory {
  void* send = nullptr;
  void* receive = nullptr;
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual RankMemory memory(int rank) const = 0;
  // The whole exchange as `rank` sees it; returns before it is done.
  virtual void enqueue(int rank, cudaStream_t stream) = 0;
};

// Those that can carry it, the default first. `multiprocessors` of the case: how many the kernels may use (24).
std::vector<std::string> transports_for(const ExchangeLayout& layout);
std::unique_ptr<Transport> make_transport(const std::string& library, const ExchangeLayout& layout,
                                          int multiprocessors);

// In nccl.cpp, which is built where NCCL was found; without it: none, and null.
std::vector<std::string> nccl_transports(const ExchangeLayout& layout);
std::unique_ptr<Transport> make_nccl_transport(const std::string& library, const ExchangeLayout& layout,
                                               int multiprocessors);
std::string nccl_version();  // "2.28.9"; empty without

}  // namespace moeline
