// SPDX-License-Identifier: Apache-2.0
//
// file_engine.h - the user-space engine of a run over a file (engine/run_file.h).
#ifndef SHUNT_USER_FILE_ENGINE_H
#define SHUNT_USER_FILE_ENGINE_H

#include "engine/run_file.h"

namespace shunt
{

Result<std::unique_ptr<FileEngine>> open_user_file_engine(const FileRun &run);

} // namespace shunt

#endif
