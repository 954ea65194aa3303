// Stores into the windows of peers through NCCL's device API, between two barriers of all ranks: the exchange is over
// on every rank when the kernel is.
#pragma once

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstdint>
#include <memory>

namespace moeline {

// The requirements of a device communicator changed with 2.29.
inline constexpr bool kHasWindowKernel = NCCL_VERSION_CODE >= 22800 && NCCL_VERSION_CODE < 22900;

struct WindowMessage {
  int to;
  const std::uint8_t* from;
  std::size_t at, bytes;  // in the window of `to`
};

struct WindowComm;  // of one rank
// Called for all ranks inside one group; `made` is usable after its end.
ncclResult_t make_window_comm(ncclComm_t comm, int blocks, std::shared_ptr<WindowComm>& made);
cudaError_t scatter_to_windows(const WindowComm& comm, ncclWindow_t window, const WindowMessage* messages, int count,
                               int blocks, cudaStream_t stream);

}  // namespace moeline
