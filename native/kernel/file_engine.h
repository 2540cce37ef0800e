// SPDX-License-Identifier: Apache-2.0
//
// file_engine.h - the kernel's engine of a run over a file (engine/run_file.h): the loaded program itself, run over one packet
// after the other by BPF_PROG_TEST_RUN, at the packets' own times. Nothing is attached, nothing is sent.
#ifndef SHUNT_KERNEL_FILE_ENGINE_H
#define SHUNT_KERNEL_FILE_ENGINE_H

#include "engine/fragment_sender.h"
#include "engine/run_file.h"

namespace shunt
{

Result<std::unique_ptr<FileEngine>> open_kernel_file_engine(const FileRun &run,
                                                            MakeFragmentSender make_fragment_sender);

} // namespace shunt

#endif
