#include <nccl.h>

#include <algorithm>

#include "validate/comm/transport.hpp"
#include "validate/comm/window_kernel.hpp"
#include "validate/cuda/device.hpp"

namespace moeline {
namespace {

void require_nccl(ncclResult_t result, const char* call) {
  if (result != ncclSuccess && result != ncclInProgress)
    throw HardwareError(std::string(call) + ": " + ncclGetErrorString(result));
}
#define MOELINE_NCCL(call) require_nccl(call, #call)

// One communicator per GPU, and memory that windows may be made of.
class NcclTransport : public Transport {
 public:
  NcclTransport(const ExchangeLayout& layout, bool copy_engine, bool windows) : layout_(layout) {
    const int ranks = layout.ranks();
    comms_.resize(static_cast<std::size_t>(ranks)), memory_.resize(comms_.size());
    ncclUniqueId id;
    MOELINE_NCCL(ncclGetUniqueId(&id));
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    if (copy_engine) config.CTAPolicy = NCCL_CTA_POLICY_ZERO;
    MOELINE_NCCL(ncclGroupStart());
    for (int rank = 0; rank < ranks; ++rank) {
      MOELINE_CUDA(cudaSetDevice(rank));
      MOELINE_NCCL(ncclCommInitRankConfig(&comm(rank), ranks, id, rank, &config));
    }
    MOELINE_NCCL(ncclGroupEnd());
    for (int rank = 0; rank < ranks; ++rank) {
      MOELINE_CUDA(cudaSetDevice(rank));
      for (void** buffer : {&of(rank).send, &of(rank).receive}) MOELINE_NCCL(ncclMemAlloc(buffer, buffer_bytes()));
    }
    if (windows) register_windows();
  }
  ~NcclTransport() override {
    for (int rank = 0; rank < layout_.ranks(); ++rank) {
      cudaSetDevice(rank);
      ncclCommDestroy(comm(rank));
      ncclMemFree(of(rank).send);
      ncclMemFree(of(rank).receive);
    }
  }
  RankMemory memory(int rank) const override { return memory_[static_cast<std::size_t>(rank)]; }

 protected:
  const ExchangeLayout& layout() const { return layout_; }
  ncclComm_t& comm(int rank) { return comms_[static_cast<std::size_t>(rank)]; }
  ncclWindow_t receive_window(int rank) const { return receive_windows_[static_cast<std::size_t>(rank)]; }

 private:
  RankMemory& of(int rank) { return memory_[static_cast<std::size_t>(rank)]; }
  std::size_t buffer_bytes() const {
    constexpr std::size_t kAlignment = NCCL_WIN_REQUIRED_ALIGNMENT;
    return (layout_.largest() + kAlignment - 1) / kAlignment * kAlignment;
  }
  // All ranks together: windows exist once everyone has registered.
  void register_windows() {
    send_windows_.resize(comms_.size()), receive_windows_.resize(comms_.size());
    MOELINE_NCCL(ncclGroupStart());
    for (std::size_t rank = 0; rank < comms_.size(); ++rank) {
      MOELINE_CUDA(cudaSetDevice(static_cast<int>(rank)));
      MOELINE_NCCL(ncclCommWindowRegister(comms_[rank], memory_[rank].send, buffer_bytes(), &send_windows_[rank],
                                          NCCL_WIN_COLL_SYMMETRIC));
      MOELINE_NCCL(ncclCommWindowRegister(comms_[rank], memory_[rank].receive, buffer_bytes(), &receive_windows_[rank],
                                          NCCL_WIN_COLL_SYMMETRIC));
    }
    MOELINE_NCCL(ncclGroupEnd());
  }

  ExchangeLayout layout_;
  std::vector<ncclComm_t> comms_;
  std::vector<RankMemory> memory_;
  std::vector<ncclWindow_t> send_windows_, receive_windows_;
};

class SendReceive : public NcclTransport {
 public:
  explicit SendReceive(const ExchangeLayout& layout) : NcclTransport(layout, false, false) {}
  void enqueue(int rank, cudaStream_t stream) override {
    const RankMemory mine = memory(rank);
    MOELINE_NCCL(ncclGroupStart());
    for (int peer = 0; peer < layout().ranks(); ++peer) {
      const ExchangeLayout::Message &out = layout().message(rank, peer), &in = layout().message(peer, rank);
      MOELINE_NCCL(ncclSend(static_cast<const std::uint8_t*>(mine.send) + out.send_at, out.bytes, ncclInt8, peer,
                            comm(rank), stream));
      MOELINE_NCCL(ncclRecv(static_cast<std::uint8_t*>(mine.receive) + in.receive_at, in.bytes, ncclInt8, peer,
                            comm(rank), stream));
    }
    MOELINE_NCCL(ncclGroupEnd());
  }
};

class AllToAll : public NcclTransport {
 public:
  AllToAll(const ExchangeLayout& layout, bool copy_engine) : NcclTransport(layout, copy_engine, copy_engine) {}
  void enqueue(int rank, cudaStream_t stream) override {
    const RankMemory mine = memory(rank);
    MOELINE_NCCL(
        ncclAlltoAll(mine.send, mine.receive, layout().message(rank, rank).bytes, ncclInt8, comm(rank), stream));
  }
};

class WindowKernel : public NcclTransport {
 public:
  WindowKernel(const ExchangeLayout& layout, int multiprocessors)
      : NcclTransport(layout, false, true), multiprocessors_(multiprocessors) {
    kernels_.resize(static_cast<std::size_t>(layout.ranks()));
    MOELINE_NCCL(ncclGroupStart());
    for (int rank = 0; rank < layout.ranks(); ++rank) {
      MOELINE_CUDA(cudaSetDevice(rank));
      MOELINE_NCCL(make_window_comm(comm(rank), multiprocessors, kernels_[static_cast<std::size_t>(rank)]));
    }
    MOELINE_NCCL(ncclGroupEnd());
    for (int rank = 0; rank < layout.ranks(); ++rank) {
      MOELINE_CUDA(cudaSetDevice(rank));
      std::vector<WindowMessage> messages;
      for (int turn = 0; turn < layout.ranks(); ++turn) {
        const int to = (rank + turn) % layout.ranks();
        const ExchangeLayout::Message& message = layout.message(rank, to);
        messages.push_back({to, static_cast<const std::uint8_t*>(memory(rank).send) + message.send_at,
                            message.receive_at, message.bytes});
      }
      messages_.push_back(DeviceMemory::of(messages));
    }
  }
  void enqueue(int rank, cudaStream_t stream) override {
    const auto r = static_cast<std::size_t>(rank);
    MOELINE_CUDA(scatter_to_windows(*kernels_[r], receive_window(rank), messages_[r].as<WindowMessage>(),
                                    layout().ranks(), multiprocessors_, stream));
  }

 private:
  int multiprocessors_;
  std::vector<std::shared_ptr<WindowComm>> kernels_;
  std::vector<DeviceMemory> messages_;
};

}  // namespace

std::vector<std::string> nccl_transports(const ExchangeLayout& layout) {
  std::vector<std::string> names{"nccl"};
  if (layout.equal()) names.insert(names.end(), {"nccl_alltoall", "nccl_copy_engine"});
  if (kHasWindowKernel && layout.ranks() > 1) names.push_back("nccl_window");
  return names;
}

std::unique_ptr<Transport> make_nccl_transport(const std::string& library, const ExchangeLayout& layout,
                                               int multiprocessors) {
  if (library == "nccl_window") return std::make_unique<WindowKernel>(layout, multiprocessors);
  if (library == "nccl") return std::make_unique<SendReceive>(layout);
  return std::make_unique<AllToAll>(layout, library == "nccl_copy_engine");
}

std::string nccl_version() {
  int version = 0;
  if (ncclGetVersion(&version) != ncclSuccess) return "";
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

}  // namespace moeline
