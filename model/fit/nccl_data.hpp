// Measured NVLink collectives as families: `gpu,nccl_version,op,dtype,num_gpus,size_bytes,latency_us`.
//
// nccl-tests, one process, out of place, idle node; repeats of one version are replaced by their median. size_bytes is
// the whole gathered (scattered) buffer for all_gather and reduce_scatter, one rank's for all_reduce and alltoall.
// One family per device over all operations, types and versions; a group is a rank count, so held-out errors are those
// of a rank count never seen. Sizes above 4 MB weigh 3x. Source: ai-dynamo/aiconfigurator@095f58a (Apache-2.0).
#pragma once

#include "fit/csv.hpp"
#include "fit/family.hpp"
#include "net/nccl.hpp"
#include "spec/fabric.hpp"

namespace moeline {

// A median of repeats. `exchange` is true for alltoall, and `kind` then says nothing.
struct NcclRow {
  bool exchange = false, floating = false;
  CollectiveKind kind = CollectiveKind::all_reduce;
  double ranks = 0;
  Bytes size;
  Seconds measured;
};

bool is_nccl_csv(const Csv& csv);
// A device with fewer than three rank counts is checked only: GB200, by B200's page.
std::vector<FamilyData> nccl_families(const Csv& csv);
// Rows of any origin as one family of the device, in their order; `tier` is its innermost, that of a carried profile if left out.
FamilyData collective_family(const std::string& device, std::vector<NcclRow> rows);
FamilyData collective_family(const std::string& device, const Tier& tier, std::vector<NcclRow> rows);
// The rows of a device's family, in its order: for tables of errors by size and operation. `device` as in the key.
std::vector<NcclRow> nccl_rows(const Csv& csv, const std::string& device);

// Parameter values in the order of the family's parameters -> the structure net/nccl predicts with.
NcclFit nccl_fit(const std::vector<double>& values);

}  // namespace moeline
