# sallyport-host for Win32-OpenSSH: enrols this machine and keeps sshd's trust as the broker signed it.
# NEVER TRIED: no PowerShell was at hand, this file was not even parsed by one. It follows docs/formats/host-protocol.md and
# docs/formats/trust-bundle.md as host/sallyport-host.sh does. Try it on a machine that you can reach in another way.
#
#   sallyport-host.ps1 install -Broker URL -Ca FILE -BundleKey FILE -Token T [-Name FQDN]
#   sallyport-host.ps1 sync
#   sallyport-host.ps1 check
#
# Exit codes: 0 done, 1 refused or failed, 2 usage, 3 broker unreachable (or enrolment not yet approved).
# Needs Windows PowerShell 5.1, curl.exe (Windows 10 1803 and newer) and an OpenSSH with `ssh-keygen -Y` (8.1).
# What it does not do: end sessions, report logins, uninstall by itself (delete the folder, the block in sshd_config, the task).
[CmdletBinding()]
param(
  [Parameter(Mandatory = $true, Position = 0)] [ValidateSet('install', 'sync', 'check')] [string] $Command,
  [string] $Broker, [string] $Ca, [string] $BundleKey, [string] $Token, [string] $Name
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

$SshFolder = Join-Path $env:ProgramData 'ssh'
$HomeFolder = Join-Path $env:ProgramData 'sallyport'
$Trust = Join-Path $SshFolder 'sallyport'
$Config = Join-Path $SshFolder 'sshd_config'
$Begin = '# >>> sallyport-host'
$End = '# <<< sallyport-host'

function Stop-With([int] $Code, [string] $Message, [string] $Next) {
  [Console]::Error.WriteLine("sallyport-host: $Message")
  if ($Next) { [Console]::Error.WriteLine("  next: $Next") }
  exit $Code
}

# ---- files: LF, ASCII, no byte order mark, replaced in one step ----

function Write-Text([string] $Path, [string] $Text) {
  $new = "$Path.new"
  [IO.File]::WriteAllText($new, $Text, (New-Object Text.ASCIIEncoding))
  Move-Into $new $Path
}

function Move-Into([string] $New, [string] $Path) {
  # Replace keeps the access rights of the file that is there, and is one step for a reader.
  if (Test-Path -LiteralPath $Path) { [IO.File]::Replace($New, $Path, $null) } else { [IO.File]::Move($New, $Path) }
}

function Read-Text([string] $Path) { [IO.File]::ReadAllText($Path, (New-Object Text.ASCIIEncoding)) }

function Get-Setting([string] $Word) {
  $file = Join-Path $HomeFolder 'config'
  if (-not (Test-Path -LiteralPath $file)) { return '' }
  foreach ($line in (Read-Text $file) -split "`n") { if ($line.StartsWith("$Word ")) { return $line.Substring($Word.Length + 1) } }
  return ''
}

function Set-Setting([string] $Word, [string] $Value) {
  $file = Join-Path $HomeFolder 'config'
  $lines = @()
  if (Test-Path -LiteralPath $file) { $lines = @((Read-Text $file) -split "`n" | Where-Object { $_ -and -not $_.StartsWith("$Word ") }) }
  Write-Text $file ((($lines + "$Word $Value") -join "`n") + "`n")
}

# Only SYSTEM and Administrators: sshd refuses files that others may write, and the identity is a secret.
function Protect-Folder([string] $Path) {
  New-Item -ItemType Directory -Force -Path $Path | Out-Null
  & icacls.exe $Path /inheritance:r /grant '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F' | Out-Null
  if ($LASTEXITCODE -ne 0) { Stop-With 1 "The access rights of $Path could not be set." 'Run this as administrator.' }
}

# ---- the signed request ----

function Get-KeyLine([string] $Path) { (((Read-Text $Path).Trim() -split '\s+')[0, 1]) -join ' ' }

function Get-Machine {
  $uuid = (Get-CimInstance Win32_ComputerSystemProduct).UUID
  $guid = (Get-ItemProperty 'HKLM:\SOFTWARE\Microsoft\Cryptography').MachineGuid
  $hash = [Security.Cryptography.SHA256]::Create().ComputeHash([Text.Encoding]::ASCII.GetBytes("$uuid`n$guid`n"))
  -join ($hash | ForEach-Object { $_.ToString('x2') })
}

function Get-HostKeys {
  Get-ChildItem -LiteralPath $SshFolder -Filter 'ssh_host_*_key' | Where-Object { Test-Path -LiteralPath "$($_.FullName).pub" } | Sort-Object Name | ForEach-Object { $_.FullName }
}

function New-Request([string] $Action) {
  $bytes = New-Object byte[] 16
  $random = [Security.Cryptography.RandomNumberGenerator]::Create()
  $random.GetBytes($bytes)
  $nonce = -join ($bytes | ForEach-Object { $_.ToString('x2') })
  @('sallyport-host-request 1', "action $Action", "time $([DateTime]::UtcNow.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'"))", "nonce $nonce")
}

# Signs with the identity and each host key, sends, and gives @{ Status; Text }. Each signature is over the document alone.
function Send-Request([string] $Route, [string[]] $Lines, [string[]] $Keys) {
  $document = Join-Path $HomeFolder 'state\request'
  $text = ($Lines -join "`n") + "`n"
  $signed = $text
  foreach ($key in @(Join-Path $HomeFolder 'identity') + $Keys) {
    [IO.File]::WriteAllText($document, $text, (New-Object Text.ASCIIEncoding))
    Remove-Item -LiteralPath "$document.sig" -ErrorAction SilentlyContinue
    & ssh-keygen.exe -q -Y sign -n host-request@sallyport -f $key $document 2>$null
    if ($LASTEXITCODE -ne 0) { Stop-With 1 "ssh-keygen could not sign with $key." 'OpenSSH 8.1 or newer is needed.' }
    $signed += (Read-Text "$document.sig") -replace "`r", ''
  }
  [IO.File]::WriteAllText("$document.signed", $signed, (New-Object Text.ASCIIEncoding))
  $answer = Join-Path $HomeFolder 'state\answer'
  Remove-Item -LiteralPath $answer -ErrorAction SilentlyContinue
  $status = & curl.exe -q -sS --proto '=https' --connect-timeout 10 --max-time 60 --max-filesize 33554432 --cacert (Join-Path $HomeFolder 'broker-ca.pem') `
    -H 'Accept: text/plain' -H 'Content-Type: text/plain' --data-binary "@$document.signed" -o $answer -w '%{http_code}' "$(Get-Setting broker)$Route"
  if ($LASTEXITCODE -ne 0) { Stop-With 3 'The broker did not answer.' 'Everything that is in force stays in force.' }
  $said = if (Test-Path -LiteralPath $answer) { Read-Text $answer } else { '' }
  if ($status -notmatch '^2') {
    $word = { param($w) if ($said -match "(?m)^$w (.*)$") { $Matches[1] -replace '[^ -~]', '' } else { '' } }
    $code = if ($status -match '^(429|5)') { 3 } else { 1 }
    Stop-With $code "The broker refused ($(& $word 'error')): $(& $word 'detail')" (& $word 'next')
  }
  @{ Status = $status; Text = $said }
}

function Get-Words([string] $Text, [string] $Word) {
  @($Text -split "`n" | Where-Object { $_.StartsWith("$Word ") } | ForEach-Object { $_.Substring($Word.Length + 1) })
}

# ---- the trust bundle ----

# Gives the parts of a bundle that may be installed, or stops. Nothing is changed before.
function Read-Bundle([string] $Text) {
  $cut = $Text.IndexOf("-----BEGIN SSH SIGNATURE-----")
  if ($Text -match '[^\n -~]' -or $cut -lt 1 -or -not $Text.Substring(0, $cut).EndsWith("`nend-krl`nend`n")) { Stop-With 1 'The bundle is not whole.' 'Nothing has been changed.' }
  $document = $Text.Substring(0, $cut)
  $state = Join-Path $HomeFolder 'state'
  [IO.File]::WriteAllText("$state\bundle.doc", $document, (New-Object Text.ASCIIEncoding))
  [IO.File]::WriteAllText("$state\bundle.sig", $Text.Substring($cut), (New-Object Text.ASCIIEncoding))
  [IO.File]::WriteAllText("$state\allowed", "bundle $(Get-KeyLine (Join-Path $HomeFolder 'bundle.pub'))`n", (New-Object Text.ASCIIEncoding))
  # Through cmd: a pipe of PowerShell would change line ends, and with them the bytes that are signed.
  & cmd.exe /d /c "ssh-keygen.exe -Y verify -n trust-bundle@sallyport -f `"$state\allowed`" -I bundle -s `"$state\bundle.sig`" < `"$state\bundle.doc`"" 2>$null | Out-Null
  if ($LASTEXITCODE -ne 0) { Stop-With 1 'The bundle is not signed by the key that is pinned here.' 'Nothing has been changed. Tell whoever runs the broker.' }
  $lines = $document.TrimEnd("`n") -split "`n"
  if ($lines[0] -ne 'sallyport-bundle 1') { Stop-With 1 'The bundle is of another version.' 'Install the script of your broker.' }
  $listAt = -1
  $principals = @{}
  $facts = @{}
  for ($i = 1; $i -lt $lines.Length -and $listAt -lt 0; $i++) {
    $word, $rest = $lines[$i] -split ' ', 2
    switch -CaseSensitive ($word) {
      'krl' { $listAt = $i }
      'principal' {
        if ($rest -cnotmatch '^([A-Za-z0-9_$@+-][A-Za-z0-9_$@.+-]*(?:\\[A-Za-z0-9_$@.+-]+)?) ([A-Za-z0-9_$@.+\\-]+)$') { Stop-With 1 'The bundle has a principal that is none.' 'Nothing has been changed.' }
        # The domain does not stand in the name of the file: %u is DOMAIN\user for domain accounts, and a folder of that name is looked for.
        $principals[$Matches[1]] = @($principals[$Matches[1]]) + $Matches[2] | Where-Object { $_ }
      }
      { $_ -cin 'userca', 'hostca' } { }
      { $_ -cin 'broker', 'host', 'group', 'version', 'issued', 'fresh-until', 'when-stale', 'end-sessions' } {
        if ($facts.ContainsKey($word)) { Stop-With 1 "The bundle says $word twice." 'Nothing has been changed.' }
        $facts[$word] = $rest
      }
      default { Stop-With 1 'The bundle has a line that this script does not know.' 'Nothing has been changed.' }
    }
  }
  foreach ($word in 'broker', 'host', 'group', 'version', 'issued', 'fresh-until', 'when-stale', 'end-sessions') { if (-not $facts.ContainsKey($word)) { Stop-With 1 "The bundle has no $word." 'Nothing has been changed.' } }
  $keys = Get-Words $document 'userca' | ForEach-Object { ($_ -split ' ')[0, 1] -join ' ' }
  if (@($keys).Count -eq 0 -or @($keys | Where-Object { $_ -cnotmatch '^[a-z0-9@.-]+ [A-Za-z0-9+/]+=*$' }).Count -gt 0) { Stop-With 1 'The bundle has no CA key, or one that is none.' 'Nothing has been changed.' }
  if ($facts['host'] -cne (Get-Setting host)) { Stop-With 1 'The bundle is for another host.' 'Nothing has been changed.' }
  if ($facts['version'] -cnotmatch '^[1-9][0-9]{0,14}$') { Stop-With 1 'The bundle has a version that is none.' 'Nothing has been changed.' }
  if ($listAt -lt 0 -or $lines[$listAt] -cnotmatch '^krl \d+ (\d+) ([0-9a-f]{64})$') { Stop-With 1 'The bundle has no revocation list.' 'Nothing has been changed.' }
  $size, $hash = $Matches[1], $Matches[2]
  $list = [Convert]::FromBase64String(($lines[($listAt + 1)..($lines.Length - 3)] -join ''))
  $is = -join ([Security.Cryptography.SHA256]::Create().ComputeHash($list) | ForEach-Object { $_.ToString('x2') })
  if ($list.Length -ne [int] $size -or $is -cne $hash) { Stop-With 1 'The revocation list in the bundle is damaged.' 'Nothing has been changed.' }
  [IO.File]::WriteAllBytes("$state\revoked.krl", $list)
  $said = & ssh-keygen.exe -Q -f "$state\revoked.krl" (Join-Path $HomeFolder 'identity.pub') 2>$null
  if ("$said" -notmatch ': (ok|REVOKED)\s*$') { Stop-With 1 'The revocation list does not load in the OpenSSH of this machine.' 'Nothing has been changed.' }
  @{ Version = [long] $facts['version']; FreshUntil = $facts['fresh-until']; Keys = $keys; Principals = $principals }
}

function Install-Parts($Bundle) {
  Protect-Folder $Trust
  Protect-Folder (Join-Path $Trust 'principals')
  # The list first: no moment with new trust and old revocations.
  Copy-Item -LiteralPath (Join-Path $HomeFolder 'state\revoked.krl') -Destination "$Trust\revoked.krl.new" -Force
  Move-Into "$Trust\revoked.krl.new" "$Trust\revoked.krl"
  foreach ($file in Get-ChildItem -LiteralPath "$Trust\principals" -File -Recurse) {
    $account = $file.FullName.Substring("$Trust\principals\".Length)
    if (-not $Bundle.Principals.ContainsKey($account)) { Remove-Item -LiteralPath $file.FullName }
  }
  foreach ($account in $Bundle.Principals.Keys) {
    $file = Join-Path "$Trust\principals" $account
    New-Item -ItemType Directory -Force -Path (Split-Path $file) | Out-Null
    Write-Text $file ((@($Bundle.Principals[$account]) -join "`n") + "`n")
  }
  Write-Text "$Trust\user_ca.pub" ((@($Bundle.Keys) -join "`n") + "`n")
  if (Set-SshdConfig ($Bundle.Principals.Count -gt 0)) { Restart-Service sshd }
}

# The block in front of everything, never in somebody's Match block. Gives true when it changed; takes it back when sshd refuses it.
function Set-SshdConfig([bool] $UsesPrincipals) {
  $slash = $Trust -replace '\\', '/'
  $block = @("$Begin", "TrustedUserCAKeys $slash/user_ca.pub", "RevokedKeys $slash/revoked.krl")
  if ($UsesPrincipals) { $block += "AuthorizedPrincipalsFile $slash/principals/%u" }
  foreach ($key in Get-HostKeys) {
    $certificate = Join-Path $Trust "$(Split-Path $key -Leaf)-cert.pub"
    if (Test-Path -LiteralPath $certificate) { $block += "HostCertificate $($certificate -replace '\\', '/')" }
  }
  $block += $End
  $before = [IO.File]::ReadAllBytes($Config)
  $text = [Text.Encoding]::GetEncoding(28591).GetString($before)
  $others = $text -replace "(?s)\A$([regex]::Escape($Begin)).*?$([regex]::Escape($End))\r?\n", ''
  $wanted = ($block -join "`r`n") + "`r`n" + $others
  if ($wanted -ceq $text) { return $false }
  $kept = Join-Path $HomeFolder 'state\sshd_config.orig'
  if (-not (Test-Path -LiteralPath $kept)) { [IO.File]::WriteAllText($kept, $others, [Text.Encoding]::GetEncoding(28591)) }
  [IO.File]::WriteAllText("$Config.new", $wanted, [Text.Encoding]::GetEncoding(28591))
  & sshd.exe -t -f "$Config.new" 2>$null
  if ($LASTEXITCODE -ne 0) {
    Remove-Item -LiteralPath "$Config.new"
    Stop-With 1 'sshd does not accept what it should be told.' 'Everything is as it was. Run sshd -t.'
  }
  Move-Into "$Config.new" $Config
  return $true
}

# ---- the commands ----

function Invoke-Enrol {
  $keys = @(Get-HostKeys)
  $lines = @(New-Request enrol)
  if ($Token) { $lines += "token $Token" }
  $lines += "identity $(Get-KeyLine (Join-Path $HomeFolder 'identity.pub'))"
  $own = if ($Name) { $Name } else { [Net.Dns]::GetHostEntry('').HostName }
  $lines += "name $($own.ToLowerInvariant())"
  foreach ($key in $keys) { $lines += "hostkey $(Get-KeyLine "$key.pub")" }
  $version = (& ssh.exe -V 2>&1 | Out-String).Trim() -replace '[^ -~]', ''
  $lines += @('platform windows', "sshd $version", "machine $(Get-Machine)")
  $answer = (Send-Request '/v1/hosts/enrol' $lines $keys).Text
  $pinned = Get-KeyLine (Join-Path $HomeFolder 'bundle.pub')
  if ((((Get-Words $answer 'bundle-key')[0] -split ' ')[0, 1] -join ' ') -cne $pinned) { Stop-With 1 'The broker names another bundle key than the one that is pinned here.' 'Ask whoever runs the broker.' }
  if ((Get-Words $answer 'status')[0] -cne 'enrolled') { Stop-With 3 "The broker waits for an admin to approve this host: $((Get-Words $answer 'fingerprint')[0])" 'Run install again after that.' }
  Protect-Folder $Trust
  foreach ($line in Get-Words $answer 'certificate') {
    $file = Join-Path $HomeFolder 'state\certificate.pub'
    Write-Text $file "$line`n"
    $print = ((& ssh-keygen.exe -l -f $file) -split ' ')[1]
    foreach ($key in $keys) { if (((& ssh-keygen.exe -l -f "$key.pub") -split ' ')[1] -ceq $print) { Write-Text (Join-Path $Trust "$(Split-Path $key -Leaf)-cert.pub") "$line`n" } }
  }
  Set-Setting host (Get-Words $answer 'host')[0]
}

function Invoke-Sync {
  $state = Join-Path $HomeFolder 'state'
  if ((Read-Text "$state\machine").Trim() -cne (Get-Machine)) { Stop-With 1 'This machine is a copy of another one: its identity is not used here.' "Delete $HomeFolder, make new host keys, and run install with a token." }
  $have = 0
  if (Test-Path -LiteralPath "$state\bundle") { $have = [long] (Get-Words (Read-Text "$state\bundle") 'version')[0] }
  $step = 1
  if (Test-Path -LiteralPath "$state\step") { $step = [long] (Read-Text "$state\step") + 1 }
  Write-Text "$state\step" "$step`n"
  $version = (& ssh.exe -V 2>&1 | Out-String).Trim() -replace '[^ -~]', ''
  $lines = @(New-Request sync) + @("host $(Get-Setting host)", "machine $(Get-Machine)", "have $have", "step $step", 'wait 0', 'check ok', "installed $have", "sshd $version")
  $answer = Send-Request '/v1/hosts/sync' $lines @()
  if ($answer.Status -eq '200') {
    $bundle = Read-Bundle $answer.Text
    if ($bundle.Version -le $have) { Stop-With 1 'An old bundle was sent again.' 'Nothing has been changed. Tell whoever runs the broker.' }
    Write-Text "$state\bundle" $answer.Text
    Install-Parts $bundle
    Write-Output "sallyport-host: trust bundle $($bundle.Version) is in force"
  } elseif ($have -gt 0) {
    # What is in force is what was accepted, whatever happened to the files.
    Install-Parts (Read-Bundle (Read-Text "$state\bundle"))
  }
}

function Invoke-Check {
  $bundle = Read-Bundle (Read-Text (Join-Path $HomeFolder 'state\bundle'))
  $wrong = @()
  if ([DateTime]::Parse($bundle.FreshUntil).ToUniversalTime() -lt [DateTime]::UtcNow) { $wrong += "stale: the trust bundle was good until $($bundle.FreshUntil)" }
  if ((Get-FileHash "$Trust\revoked.krl").Hash -ne (Get-FileHash (Join-Path $HomeFolder 'state\revoked.krl')).Hash) { $wrong += 'other-list: the revocation list is not the one of the bundle' }
  if ((Read-Text "$Trust\user_ca.pub") -cne ((@($bundle.Keys) -join "`n") + "`n")) { $wrong += 'other-trust: the trusted keys are not those of the bundle' }
  $effective = & sshd.exe -T 2>$null
  foreach ($word in 'trustedusercakeys', 'revokedkeys') { if (-not ($effective -match "(?i)^$word .*sallyport")) { $wrong += "not-in-force: sshd does not follow $word" } }
  foreach ($line in $wrong) { [Console]::Error.WriteLine("sallyport-host: WRONG $line") }
  if ($wrong.Count -gt 0) { exit 1 }
  Write-Output "sallyport-host: trust bundle $($bundle.Version) is in force, good until $($bundle.FreshUntil)"
}

switch ($Command) {
  'install' {
    Protect-Folder $HomeFolder
    Protect-Folder (Join-Path $HomeFolder 'state')
    if ($Broker) { if ($Broker -notmatch '^https://[A-Za-z0-9.:\[\]_-]+$') { Stop-With 2 'The address of the broker must begin with https://.' '' }; Set-Setting broker $Broker }
    if ($Ca) { Write-Text (Join-Path $HomeFolder 'broker-ca.pem') ((Read-Text $Ca) -replace "`r", '') }
    if ($BundleKey -and -not (Test-Path -LiteralPath (Join-Path $HomeFolder 'bundle.pub'))) { Write-Text (Join-Path $HomeFolder 'bundle.pub') "$(Get-KeyLine $BundleKey)`n" }
    foreach ($needed in 'broker-ca.pem', 'bundle.pub') { if (-not (Test-Path -LiteralPath (Join-Path $HomeFolder $needed))) { Stop-With 2 'Name the broker, its CA and its bundle key.' 'install -Broker URL -Ca FILE -BundleKey FILE -Token T' } }
    if (-not (Test-Path -LiteralPath (Join-Path $HomeFolder 'identity'))) {
      & cmd.exe /d /c "ssh-keygen.exe -q -t ed25519 -N `"`" -C sallyport-host -f `"$HomeFolder\identity`""
      if ($LASTEXITCODE -ne 0) { Stop-With 1 'The identity could not be made.' 'Run this as administrator.' }
      Write-Text (Join-Path $HomeFolder 'state\machine') "$(Get-Machine)`n"
    }
    if (-not (Get-Setting host)) { Invoke-Enrol }
    Invoke-Sync
  }
  'sync' { Invoke-Sync }
  'check' { Invoke-Check }
}
