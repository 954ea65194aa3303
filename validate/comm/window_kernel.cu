#include "validate/comm/window_kernel.hpp"

#include <nccl_device.h>

#include "validate/kernels/launch.cuh"
#include "validate/kernels/scatter.cuh"

namespace moeline {

struct WindowComm {
  explicit WindowComm(ncclComm_t of) : comm(of) {}
  ~WindowComm() { ncclDevCommDestroy(comm, &device); }
  ncclComm_t comm;
  ncclDevComm device{};
};

namespace {

__global__ void __launch_bounds__(kernels::kScatterThreads, 1)
    window_kernel(ncclDevComm comm, ncclWindow_t window, const WindowMessage* messages, int count) {
  ncclLsaBarrierSession<ncclCoopCta> barrier{ncclCoopCta(), comm, ncclTeamTagLsa(), blockIdx.x};
  barrier.sync(ncclCoopCta(), cuda::memory_order_acquire);  // everyone's window may be written
  for (int i = 0; i < count; ++i) {
    const WindowMessage message = messages[i];
    auto* to = static_cast<std::uint8_t*>(ncclGetLsaPointer(window, message.at, message.to));
    kernels::copy_message({to, message.from, message.bytes}, blockIdx.x, gridDim.x);
  }
  barrier.sync(ncclCoopCta(), cuda::memory_order_release);  // everyone's stores have arrived
}

}  // namespace

ncclResult_t make_window_comm(ncclComm_t comm, int blocks, std::shared_ptr<WindowComm>& made) {
  ncclDevCommRequirements requirements{};
  requirements.lsaBarrierCount = blocks;
  made = std::make_shared<WindowComm>(comm);
  return ncclDevCommCreate(comm, &requirements, &made->device);
}

cudaError_t scatter_to_windows(const WindowComm& comm, ncclWindow_t window, const WindowMessage* messages, int count,
                               int blocks, cudaStream_t stream) {
  return kernels::launch(window_kernel, static_cast<unsigned>(blocks), kernels::kScatterThreads, 0, stream, comm.device,
                         window, messages, count);
}

}  // namespace moeline
